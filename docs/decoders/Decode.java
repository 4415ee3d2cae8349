import java.io.*;
import java.nio.file.*;
import java.util.*;
import java.util.zip.*;

/** Takes the readings out of a message: java Decode.java ENVELOPE COMPRESS ENCODING [DICTIONARY] &lt;message */
class Decode {
  static List<byte[]> unpack(byte[] message, String envelope, String compress, String encoding, byte[] dictionary) throws Exception {
    if (encoding.equals("base64")) message = Base64.getDecoder().decode(message);
    Inflater raw = new Inflater(true);
    if (dictionary.length > 0) raw.setDictionary(dictionary);
    InputStream in = new ByteArrayInputStream(message);
    if (compress.equals("deflate")) in = new InflaterInputStream(in, raw);
    if (compress.equals("gzip")) in = new GZIPInputStream(in);
    DataInputStream text = new DataInputStream(new ByteArrayInputStream(in.readAllBytes()));
    List<byte[]> readings = new ArrayList<>();
    while (text.available() > 0) {
      if (envelope.equals("length-prefixed")) {
        byte[] reading = new byte[text.readInt()];
        text.readFully(reading);
        readings.add(reading);
      } else if (envelope.equals("ndjson")) {
        ByteArrayOutputStream reading = new ByteArrayOutputStream();
        for (int b = text.readUnsignedByte(); b != '\n'; b = text.readUnsignedByte()) reading.write(b);
        readings.add(reading.toByteArray());
      } else readings.add(text.readAllBytes()); // json-array: for the JSON library of your choice, Java has none
    }
    return readings;
  }

  public static void main(String[] args) throws Exception {
    byte[] dictionary = args.length > 3 ? Files.readAllBytes(Path.of(args[3])) : new byte[0];
    for (byte[] reading : unpack(System.in.readAllBytes(), args[0], args[1], args[2], dictionary)) {
      System.out.write(reading);
      System.out.write('\n');
    }
    System.out.flush();
  }
}
