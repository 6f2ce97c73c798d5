// One implementation for both kinds of modules: a message that one of them made is a message for the other.
import sdk from "./lib/index.js";

export const {
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
} = sdk;

export default sdk;
