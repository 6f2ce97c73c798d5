"use strict";
// A message class as google-protobuf generates them.

const { Empty } = require("google-protobuf/google/protobuf/empty_pb.js");

module.exports = { EmptyMessage: Empty };
