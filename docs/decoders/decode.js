// Takes the readings out of a message: node decode.js ENVELOPE COMPRESS ENCODING [DICTIONARY] <message
const fs = require("fs"), zlib = require("zlib");

function unpack(message, envelope, compress = "none", encoding = "raw", dictionary) {
  if (encoding === "base64") message = Buffer.from(message.toString("latin1"), "base64");
  if (compress === "gzip") message = zlib.gunzipSync(message);
  if (compress === "deflate") message = zlib.inflateRawSync(message, dictionary && { dictionary });
  if (envelope === "json-array") return JSON.parse(message).map((value) => Buffer.from(JSON.stringify(value)));
  const readings = [];
  for (let at = 0, size; at < message.length; at += size + (envelope === "ndjson" ? 1 : 4)) {
    size = envelope === "ndjson" ? message.indexOf(10, at) - at : message.readUInt32BE(at);
    const from = envelope === "ndjson" ? at : at + 4;
    if (size < 0 || from + size > message.length) throw new Error("the envelope is cut");
    readings.push(message.subarray(from, from + size));
  }
  return readings;
}

if (require.main === module) {
  const [envelope, compress, encoding, file] = process.argv.slice(2);
  for (const reading of unpack(fs.readFileSync(0), envelope, compress, encoding, file && fs.readFileSync(file)))
    process.stdout.write(Buffer.concat([reading, Buffer.from("\n")]));
}
module.exports = unpack;
