"use strict";
// What a function acts through, and the reply that its acts grow into.

const { Address, checkText, shown, splitTypename } = require("./address.js");
const { EgressMessage, Message } = require("./message.js");
const { readMetadata } = require("./record.js");
const { storageOf } = require("./storage.js");

let begin;
let finish;

/** The context of one invocation batch: what its invocations asked for, in order. */
class Context {
  #self;
  #states;
  #storage = undefined;
  #invocation = null;
  #sent = [];
  #delayed = [];
  #egress = [];
  #isOver = false;

  static {
    begin = (context, invocation) => {
      context.#invocation = invocation;
    };
    finish = (context, writer) => {
      context.#isOver = true;
      context.#states.close();
      if (writer !== null) {
        context.#write(writer);
      }
    };
  }

  constructor(self, states) {
    this.#self = self;
    this.#states = states;
  }

  get storage() {
    return (this.#storage ??= storageOf(this.#states));
  }

  get self() {
    return this.#self;
  }

  /** The address that sent the message; null if it came from an ingress. */
  get caller() {
    return this.#invocation?.caller ?? null;
  }

  /** What the Kafka record had besides key and value; null if the message was none, or the runtime does not tell. */
  get recordMetadata() {
    const record = this.#invocation?.record ?? null;
    return record === null ? null : readMetadata(record.bytes, record.start, record.end);
  }

  send(message) {
    this.#checkOpen();
    if (message instanceof Message) {
      this.#sent.push(checkMessage(message));
    } else if (message instanceof EgressMessage) {
      splitTypename(message.typename, "an egress message");
      this.#egress.push(checkValue(message));
    } else {
      throw new TypeError(`send takes what messageBuilder or one of the egress builders made, not ${shown(message)}`);
    }
  }

  sendAfter(delay, message, cancellationToken) {
    this.#checkOpen();
    if (!(message instanceof Message)) {
      throw new TypeError(`sendAfter takes what messageBuilder made, not ${shown(message)}`);
    }
    if (!Number.isSafeInteger(delay) || delay < 0) {
      throw new TypeError(`the delay of sendAfter must be a whole number of milliseconds, not ${shown(delay)}`);
    }
    checkMessage(message);
    const token = cancellationToken ?? "";
    this.#delayed.push({ delay, message, token: checkText(token, "the cancellation token", "sendAfter") });
  }

  cancelDelayedMessage(cancellationToken) {
    this.#checkOpen();
    const token = checkText(cancellationToken, "the cancellation token", "cancelDelayedMessage");
    if (token === "") {
      throw new TypeError("the cancellation token is empty; give the one that the message was sent with");
    }
    this.#delayed.push({ delay: 0, message: null, token });
  }

  #checkOpen() {
    if (this.#isOver) {
      throw new Error(
        `the invocation of ${this.#self} is over, and what is asked for now would be lost; return the promise of what goes on`,
      );
    }
  }

  /** Write the content of the reply, from its last field to its first. */
  #write(writer) {
    for (let i = this.#egress.length - 1; i >= 0; i--) {
      writeEgress(writer, this.#egress[i]);
    }
    for (let i = this.#delayed.length - 1; i >= 0; i--) {
      writeDelayed(writer, this.#delayed[i]);
    }
    for (let i = this.#sent.length - 1; i >= 0; i--) {
      const before = writer.size;
      writeField(writer, 0x12, this.#sent[i].typedValue);
      writeAddress(writer, 0x0a, this.#sent[i].targetAddress);
      writer.close(0x12, before);
    }
    this.#states.writeMutations(writer);
  }
}

/** Return a message that can be written: it may have been made without the builders. */
function checkMessage(message) {
  const { targetAddress } = message;
  if (!(targetAddress instanceof Address)) {
    throw new TypeError(`the target of a message must be an Address, not ${shown(targetAddress)}`);
  }
  for (const part of ["namespace", "name", "id"]) {
    checkText(targetAddress[part], `the ${part}`, "the target of a message");
  }
  return checkValue(message);
}

function checkValue(message) {
  if (typeof message.typedValue?.write !== "function") {
    throw new TypeError(`the typed value of a message must be one of another message, not ${shown(message.typedValue)}`);
  }
  return message;
}

function writeEgress(writer, message) {
  const before = writer.size;
  const { namespace, name } = splitTypename(message.typename, "an egress message");
  writeField(writer, 0x1a, message.typedValue);
  writer.textField(0x12, name);
  writer.textField(0x0a, namespace);
  writer.close(0x22, before);
}

/** The two fields above 9 come first, as the stock SDK has them. */
function writeDelayed(writer, { delay, message, token }) {
  const before = writer.size;
  if (message !== null) {
    writeField(writer, 0x1a, message.typedValue);
    writeAddress(writer, 0x12, message.targetAddress);
    if (delay > 0) {
      writer.varint(delay);
      writer.varint(0x08);
    }
  }
  writer.textField(0x5a, token);
  if (message === null) {
    writer.varint(1);
    writer.varint(0x50);
  }
  writer.close(0x1a, before);
}

function writeField(writer, tag, value) {
  const before = writer.size;
  value.write(writer);
  writer.close(tag, before);
}

function writeAddress(writer, tag, address) {
  const before = writer.size;
  writer.textField(0x1a, address.id);
  writer.textField(0x12, address.name);
  writer.textField(0x0a, address.namespace);
  writer.close(tag, before);
}

module.exports = { Context, begin, finish };
