"use strict";
// Protobuf's wire format, written from its end to its beginning: when a length is written, what is so long is there.

const SMALLEST_BYTES = 4096;
const SHORT = 64;

/**
 * Grows towards its beginning. Whoever wants the fields a, b, c writes c, b, a, each of them value first, tag last.
 *
 * Bytes that were taken are never touched again, so that a socket may hold them as long as it likes.
 */
class Writer {
  #bytes;
  #start;
  #taken;

  constructor(size = SMALLEST_BYTES) {
    this.#bytes = Buffer.allocUnsafeSlow(size);
    this.#start = size;
    this.#taken = size;
  }

  /** How many bytes have been written and not taken; the difference of two is the length of what lies between. */
  get size() {
    return this.#taken - this.#start;
  }

  /** Return what was written, and begin anew. */
  take() {
    const written = this.#bytes.subarray(this.#start, this.#taken);
    this.#taken = this.#start;
    return written;
  }

  /** Forget what was written since `size` was this. */
  backTo(size) {
    this.#start = this.#taken - size;
  }

  byte(value) {
    if (this.#start === 0) {
      this.#grow(1);
    }
    this.#bytes[--this.#start] = value;
  }

  /** Write a whole number from 0 to 2^53. */
  varint(value) {
    if (value < 0x80) {
      this.byte(value);
      return;
    }
    let size = 1;
    for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 128)) {
      size++;
    }
    this.#reserve(size);
    let at = (this.#start -= size);
    let rest = value;
    for (; rest >= 0x80; rest = Math.floor(rest / 128)) {
      this.#bytes[at++] = (rest % 128) | 0x80;
    }
    this.#bytes[at] = rest;
  }

  int32(value) {
    this.#reserve(4);
    this.#start -= 4;
    this.#bytes.writeInt32LE(value, this.#start);
  }

  int64(value) {
    this.#reserve(8);
    this.#start -= 8;
    this.#bytes.writeBigInt64LE(value, this.#start);
  }

  float(value) {
    this.#reserve(4);
    this.#start -= 4;
    this.#bytes.writeFloatLE(value, this.#start);
  }

  double(value) {
    this.#reserve(8);
    this.#start -= 8;
    this.#bytes.writeDoubleLE(value, this.#start);
  }

  /** Write bytes as they are, without a length. */
  raw(bytes) {
    const size = bytes.length;
    this.#reserve(size);
    this.#start -= size;
    if (size > SHORT) {
      this.#bytes.set(bytes, this.#start);
      return;
    }
    const target = this.#bytes;
    for (let i = 0, at = this.#start; i < size; i++, at++) {
      target[at] = bytes[i];
    }
  }

  /** Write a string as UTF-8, without a length. */
  text(text) {
    if (text.length <= SHORT && this.#ascii(text)) {
      return;
    }
    const size = Buffer.byteLength(text);
    this.#reserve(size);
    this.#start -= size;
    this.#bytes.utf8Write(text, this.#start, size);
  }

  #ascii(text) {
    const size = text.length;
    this.#reserve(size);
    const target = this.#bytes;
    const start = this.#start - size;
    for (let i = 0; i < size; i++) {
      const unit = text.charCodeAt(i);
      if (unit >= 0x80) {
        return false;
      }
      target[start + i] = unit;
    }
    this.#start = start;
    return true;
  }

  /** Close a field whose content was begun when `size` was `before`: its length, then its tag. */
  close(tag, before) {
    this.varint(this.size - before);
    this.varint(tag);
  }

  /** A string field; an empty string is no field. */
  textField(tag, text) {
    if (text.length > 0) {
      const before = this.size;
      this.text(text);
      this.close(tag, before);
    }
  }

  /** A bytes field; no bytes are no field. */
  bytesField(tag, bytes) {
    if (bytes.length > 0) {
      this.raw(bytes);
      this.varint(bytes.length);
      this.varint(tag);
    }
  }

  #reserve(size) {
    if (this.#start < size) {
      this.#grow(size);
    }
  }

  #grow(size) {
    const written = this.size;
    const grown = Math.max(SMALLEST_BYTES, this.#bytes.length, 2 * (written + size));
    const bytes = Buffer.allocUnsafeSlow(grown);
    this.#bytes.copy(bytes, grown - written, this.#start, this.#taken);
    this.#bytes = bytes;
    this.#start = grown - written;
    this.#taken = grown;
  }
}

module.exports = { Writer };
