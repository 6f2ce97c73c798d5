"use strict";
// Protobuf's wire format, read from a buffer that stays where it is: nothing is copied but what becomes a string.

const { isUtf8 } = require("node:buffer");

/** The bytes are not what they should be: whoever sent them must change, trying again does not help. */
class WireError extends Error {
  get name() {
    return "WireError";
  }
}

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const GROUP = 3;
const GROUP_END = 4;
const FIXED32 = 5;
const GROUP_DEPTH_MAX = 100;
const NAMES_MAX = 256;
const NAME_BYTES_MAX = 128;

/**
 * Strings that come again and again (typenames, names of states), found by their bytes.
 *
 * To compare bytes costs a third of what making a string does. A place holds one name, so it never grows.
 */
class Names {
  #texts = new Array(NAMES_MAX).fill("");
  #bytes = new Array(NAMES_MAX).fill(new Uint8Array(0));

  read(bytes, start, end) {
    const size = end - start;
    if (size === 0 || size > NAME_BYTES_MAX) {
      return readText(bytes, start, end);
    }
    const place = (size * 31 + bytes[end - 1] * 7 + bytes[start + (size >> 1)]) & (NAMES_MAX - 1);
    const known = this.#bytes[place];
    if (known.length === size && isSame(known, bytes, start)) {
      return this.#texts[place];
    }
    const text = readText(bytes, start, end);
    this.#bytes[place] = Uint8Array.prototype.slice.call(bytes, start, end);
    this.#texts[place] = text;
    return text;
  }
}

function isSame(known, bytes, start) {
  for (let i = 0; i < known.length; i++) {
    if (known[i] !== bytes[start + i]) {
      return false;
    }
  }
  return true;
}

/** Read UTF-8, and refuse what is not: a replaced character in an id would be another id. */
function readText(bytes, start, end) {
  const text = bytes.utf8Slice(start, end);
  if (text.includes("\ufffd") && !isUtf8(bytes.subarray(start, end))) {
    throw new WireError("a string is not UTF-8");
  }
  return text;
}

/** A position in a buffer, and the end of the message that is being read. */
class Reader {
  constructor(bytes, start, end) {
    this.bytes = bytes;
    this.position = start;
    this.end = end;
  }

  get isAtEnd() {
    return this.position >= this.end;
  }

  /** Read the number and wire type of a field; `tag >>> 3` is the number. */
  tag() {
    const tag = this.varint();
    if (tag < 8 || tag > 0xffffffff) {
      throw new WireError(`a field cannot have the tag ${tag}`);
    }
    return tag;
  }

  /** Read a varint; above 2^53 it is rounded, which only a skipped field can be. */
  varint() {
    const { bytes, end } = this;
    let value = 0;
    let factor = 1;
    for (let count = 0; count < 10; count++) {
      if (this.position >= end) {
        throw new WireError("it ends in the middle of a number");
      }
      const byte = bytes[this.position++];
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) {
        return value;
      }
      factor *= 128;
    }
    throw new WireError("a number is longer than ten bytes");
  }

  /** Read a signed 64-bit varint as it is meant: negative numbers are those from 2^63 on. */
  bigVarint() {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      if (this.position >= this.end) {
        throw new WireError("it ends in the middle of a number");
      }
      const byte = this.bytes[this.position++];
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) {
        return BigInt.asIntN(64, value);
      }
    }
    throw new WireError("a number is longer than ten bytes");
  }

  /** Read a length, and return where what is so long ends. */
  length() {
    const size = this.varint();
    const end = this.position + size;
    if (end > this.end) {
      throw new WireError(`it ends before ${size} announced bytes have come`);
    }
    return end;
  }

  text() {
    const end = this.length();
    const text = readText(this.bytes, this.position, end);
    this.position = end;
    return text;
  }

  /** Read a string that comes often. */
  name(names) {
    const end = this.length();
    const text = names.read(this.bytes, this.position, end);
    this.position = end;
    return text;
  }

  /** Go past a field that nobody here knows. */
  skip(tag) {
    this.#skip(tag, 0);
  }

  #skip(tag, depth) {
    switch (tag & 7) {
      case VARINT:
        this.varint();
        return;
      case FIXED64:
        this.#forward(8);
        return;
      case BYTES:
        this.position = this.length();
        return;
      case GROUP:
        this.#skipGroup(tag >>> 3, depth + 1);
        return;
      case FIXED32:
        this.#forward(4);
        return;
      default:
        throw new WireError(`a field has the unknown wire type ${tag & 7}`);
    }
  }

  #skipGroup(number, depth) {
    if (depth > GROUP_DEPTH_MAX) {
      throw new WireError("groups are nested too deep");
    }
    for (;;) {
      const tag = this.tag();
      if ((tag & 7) === GROUP_END) {
        if (tag >>> 3 !== number) {
          throw new WireError("a group ends that had not begun");
        }
        return;
      }
      this.#skip(tag, depth);
    }
  }

  #forward(size) {
    if (this.position + size > this.end) {
      throw new WireError(`it ends before ${size} announced bytes have come`);
    }
    this.position += size;
  }
}

module.exports = { Names, Reader, WireError };
