#!/usr/bin/env python3
"""Takes the readings out of a message: decode.py ENVELOPE COMPRESS ENCODING [DICTIONARY] <message"""
import base64, json, struct, sys, zlib


def unpack(message, envelope, compress="none", encoding="raw", dictionary=b""):
    if encoding == "base64":
        message = base64.b64decode(message, validate=True)
    if compress != "none":
        stream = zlib.decompressobj(31) if compress == "gzip" else zlib.decompressobj(-15, zdict=dictionary)
        message = stream.decompress(message)
        if not stream.eof:
            raise ValueError("the stream is cut")
    if envelope == "json-array":
        return [json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode() for value in json.loads(message)]
    if envelope == "ndjson":
        return message.split(b"\n")[:-1]
    readings, at = [], 0
    while at < len(message):
        (size,) = struct.unpack_from(">I", message, at)
        readings.append(message[at + 4 : at + 4 + size])
        at += 4 + size
    return readings


if __name__ == "__main__":
    dictionary = open(sys.argv[4], "rb").read() if len(sys.argv) > 4 else b""
    for reading in unpack(sys.stdin.buffer.read(), *sys.argv[1:4], dictionary):
        sys.stdout.buffer.write(reading + b"\n")
