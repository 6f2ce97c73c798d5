"use strict";
// A bundle: one request with the batches of many addresses, and an outcome for each, in the order in which they end.
//
//   waiting ──start──▶ running ──▶ outcome written ──flush──▶ sent
//
// Functions run one after another as long as they return nothing to wait for, at most `SLICE_MS` without letting others
// have the event loop; those that return a promise run side by side, `concurrency` of them at most. An outcome leaves at
// the end of the turn of the event loop in which it was written, with all others of that turn.

const { Batch } = require("./batch.js");
const { RequestError } = require("./failures.js");
const { Reader, WireError } = require("./wire/reader.js");
const { Writer } = require("./wire/writer.js");

const SLICE_MS = 5;
const STARTS_PER_LOOK = 16;
const WRITER_BYTES = 64 * 1024;
const TEXT_BYTES_MAX = 4096;

const INDEX = 0x08;
const REPLY = 0x12;
const FAILURE = 0x1a;
const STATUS = 0x08;
const TEXT = 0x12;

/** Return where each ToFunction of a bundle begins and ends; a bundle that is none is refused as a whole. */
function split(bytes) {
  const reader = new Reader(bytes, 0, bytes.length);
  const places = [];
  try {
    while (!reader.isAtEnd) {
      const end = reader.length();
      places.push(reader.position, end);
      reader.position = end;
    }
  } catch (error) {
    if (error instanceof WireError) {
      throw new RequestError(400, `the request is not a bundle: ${error.message}`);
    }
    throw error;
  }
  return places;
}

/** Works on one bundle; what it writes to has `write(bytes)`, `end(bytes)`, `isFull`, `isGone` and `drained()`. */
class Bundle {
  #app;
  #bytes;
  #places;
  #output;
  #writer = new Writer(WRITER_BYTES);
  #next = 0;
  #running = 0;
  #isFlushAsked = false;
  #isPumping = false;
  #isEnded = false;

  constructor(app, bytes, output) {
    this.#app = app;
    this.#bytes = bytes;
    this.#places = split(bytes);
    this.#output = output;
  }

  /** Begin; `output.end` is called when all outcomes are written. */
  start() {
    this.#pump();
  }

  get #count() {
    return this.#places.length / 2;
  }

  get #isDone() {
    return this.#next === this.#count && this.#running === 0;
  }

  #pump() {
    if (this.#isPumping) {
      return;
    }
    this.#isPumping = true;
    const untilMs = performance.now() + SLICE_MS;
    let isLate = false;
    while (!isLate && this.#mayStart()) {
      this.#startNext();
      isLate = this.#next % STARTS_PER_LOOK === 0 && performance.now() > untilMs;
    }
    this.#isPumping = false;
    this.#afterTurn(isLate);
  }

  #mayStart() {
    return this.#next < this.#count && this.#running < this.#app.concurrency && !this.#output.isGone;
  }

  #afterTurn(isLate) {
    if (this.#isDone) {
      this.#end();
    } else if (isLate) {
      this.#flush();
      this.#whenWritable(() => setImmediate(() => this.#pump()));
    } else {
      this.#askForFlush();
    }
  }

  #startNext() {
    const index = this.#next++;
    let batch = null;
    try {
      batch = new Batch(this.#app.functions, this.#bytes, this.#places[2 * index], this.#places[2 * index + 1], this.#app.names);
      const promise = batch.run();
      if (promise === undefined) {
        this.#reply(index, batch);
      } else {
        this.#running += 1;
        this.#wait(index, batch, promise);
      }
    } catch (error) {
      this.#fail(index, batch, error);
    }
  }

  async #wait(index, batch, promise) {
    try {
      await promise;
      this.#reply(index, batch);
    } catch (error) {
      this.#fail(index, batch, error);
    }
    this.#running -= 1;
    this.#askForFlush();
  }

  /** Let what was written leave at the end of this turn, and start what waited for a place. */
  #askForFlush() {
    if (this.#isFlushAsked) {
      return;
    }
    this.#isFlushAsked = true;
    setImmediate(() => {
      this.#isFlushAsked = false;
      if (this.#isDone) {
        this.#end();
        return;
      }
      this.#flush();
      if (this.#mayStart()) {
        this.#whenWritable(() => this.#pump());
      }
    });
  }

  #end() {
    if (!this.#isEnded) {
      this.#isEnded = true;
      this.#output.end(this.#writer.take());
    }
  }

  #flush() {
    if (this.#writer.size > 0) {
      this.#output.write(this.#writer.take());
    }
  }

  #whenWritable(goOn) {
    if (this.#output.isFull) {
      this.#output.drained().then(goOn);
    } else {
      goOn();
    }
  }

  #reply(index, batch) {
    const before = this.#writer.size;
    try {
      batch.write(this.#writer);
      this.#writer.close(REPLY, before);
    } catch (error) {
      this.#writer.backTo(before);
      throw error;
    }
    this.#close(index, before);
  }

  #fail(index, batch, error) {
    batch?.close();
    const { status, text } = this.#app.failures.tell(error, batch?.address ?? null);
    const before = this.#writer.size;
    this.#writer.bytesField(TEXT, cut(text));
    if (status !== 500) {
      this.#writer.varint(status);
      this.#writer.varint(STATUS);
    }
    this.#writer.close(FAILURE, before);
    this.#close(index, before);
  }

  #close(index, before) {
    if (index > 0) {
      this.#writer.varint(index);
      this.#writer.varint(INDEX);
    }
    this.#writer.varint(this.#writer.size - before);
  }
}

/** Return a text as UTF-8, at most as long as may be said of a failure, without half a character at the end. */
function cut(text) {
  const bytes = Buffer.from(text);
  let end = Math.min(bytes.length, TEXT_BYTES_MAX);
  while (end < bytes.length && (bytes[end] & 0xc0) === 0x80) {
    end--;
  }
  return bytes.subarray(0, end);
}

module.exports = { Bundle };
