"use strict";

const { Address } = require("./address.js");
const { Context } = require("./context.js");
const { kafkaEgressMessage, kinesisEgressMessage } = require("./egress.js");
const { EgressMessage, Message, egressMessageBuilder, messageBuilder } = require("./message.js");
const { RecordMetadata } = require("./record.js");
const { StateFun } = require("./statefun.js");
const { Type } = require("./types/type.js");

module.exports = {
  Address,
  Context,
  EgressMessage,
  Message,
  RecordMetadata,
  StateFun,
  Type,
  egressMessageBuilder,
  kafkaEgressMessage,
  kinesisEgressMessage,
  messageBuilder,
};
