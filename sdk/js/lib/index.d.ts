import type { IncomingMessage, ServerResponse } from "node:http";

/** A value type. Its typename alone decides whether two programs speak of the same type. */
export abstract class Type<T> {
  protected constructor(typename: string);
  get typename(): string;
  abstract serialize(value: T): Uint8Array;
  abstract deserialize(bytes: Buffer): T;
}

/** Which function type, and which instance of it. */
export class Address {
  readonly namespace: string;
  readonly name: string;
  readonly id: string;
  /** `namespace/name` */
  readonly typename: string;
  constructor(namespace: string, name: string, id: string, typename: string);
  static fromParts(namespace: string, name: string, id: string): Address;
  static fromTypeNameId(typename: string, id: string): Address;
}

/** A state of a function. It may expire so many milliseconds after it was last set, or after the last message. */
export interface ValueSpecOpts<Name extends string = string, T = any> {
  name: Name;
  type: Type<T>;
  expireAfterCall?: number;
  expireAfterWrite?: number;
}

type ValueOf<T> = T extends Type<infer Value> ? Value : never;

/** The type of `context.storage` for an array of specs: null is a state without a value, and deletes it when set. */
export type StorageOf<Specs> = Specs extends readonly ValueSpecOpts[]
  ? { [Spec in Specs[number] as Spec["name"]]: ValueOf<Spec["type"]> | null }
  : any;

/** A stateful function. What it asks for happens when its whole batch has succeeded, or not at all. */
export type StatefulFunction<Storage = any> = (
  context: Context<Storage>,
  message: Message,
) => void | PromiseLike<unknown>;

export interface FunctionOpts<Specs = any> {
  typename: string;
  specs?: Specs;
  // A method, so that a function with a context of its own type will do.
  fn(context: Context<StorageOf<Specs>>, message: Message): void | PromiseLike<unknown>;
}

/** What a function acts through; it serves until its batch is over. */
export class Context<Storage = any> {
  private constructor();
  /** The states of this function's specs, as properties. */
  get storage(): Storage;
  /** The address of this function. */
  get self(): Address;
  /** The address that sent the message; null if it came from an ingress. */
  get caller(): Address | null;
  /** What the Kafka record had besides key and value; null if the message was none, or the runtime does not tell. */
  get recordMetadata(): RecordMetadata | null;
  send(message: Message | EgressMessage): void;
  /** Send a message after a delay in milliseconds. With a token it can be cancelled until then. */
  sendAfter(delay: number, message: Message, cancellationToken?: string): void;
  cancelDelayedMessage(cancellationToken: string): void;
}

/** A value as it travels. */
export interface TypedValue {
  readonly typename: string;
  readonly hasValue: boolean;
  readonly value: Buffer;
}

/** A message to a function. `as…` return null if it has no value, and throw if it is of another type. */
export class Message {
  readonly targetAddress: Address;
  constructor(targetAddress: Address, typedValue: TypedValue);
  get typedValue(): TypedValue;
  get valueTypeName(): string;
  get rawValueBytes(): Buffer;
  is<T>(type: Type<T>): boolean;
  as<T>(type: Type<T>): T | null;
  isString(): boolean;
  asString(): string | null;
  isBoolean(): boolean;
  asBoolean(): boolean | null;
  isInt(): boolean;
  asInt(): number | null;
  isLong(): boolean;
  asLong(): bigint | null;
  isFloat(): boolean;
  asFloat(): number | null;
  isDouble(): boolean;
  asDouble(): number | null;
}

export class EgressMessage {
  readonly typename: string;
  readonly typedValue: TypedValue;
  constructor(typename: string, typedValue: TypedValue);
}

/** Where a Kafka record came from, its time and its headers, in their order. */
export class RecordMetadata {
  private constructor();
  readonly topic: string;
  readonly partition: number;
  readonly offset: bigint;
  readonly timestampMs: number;
  readonly headers: readonly (readonly [key: string, value: Buffer | null])[];
  /** The value of the last header of this name; null if it has none, undefined if there is no such header. */
  header(key: string): Buffer | null | undefined;
}

/** A string is sent as `stringType()`, a whole number as `intType()`, a BigInt as `longType()`, a boolean as `booleanType()`. */
export interface MessageOpts<T = any> {
  typename: string;
  id: string;
  value: T;
  valueType?: Type<T> | undefined;
}

export function messageBuilder<T>(options: MessageOpts<T>): Message;

export interface EgressOpts<T = any> {
  typename: string;
  value: T;
  valueType: Type<T>;
}

export function egressMessageBuilder<T>(options: EgressOpts<T>): EgressMessage;

export type HeaderValue = string | Uint8Array | null;

export interface KafkaEgressOpts<T = any> {
  typename: string;
  topic: string;
  key?: string | null;
  /** Without a type a string is written as UTF-8, and a whole number as four bytes, the high one first. */
  value: T;
  valueType?: Type<T> | undefined;
  headers?: Readonly<Record<string, HeaderValue>> | Iterable<readonly [string, HeaderValue]>;
  timestampMs?: number;
  partition?: number;
}

export function kafkaEgressMessage<T>(options: KafkaEgressOpts<T>): EgressMessage;

export interface KinesisEgressOpts<T = any> {
  typename: string;
  stream: string;
  partitionKey: string;
  hashKey?: string | null;
  value: T;
  valueType?: Type<T> | undefined;
}

export function kinesisEgressMessage<T>(options: KinesisEgressOpts<T>): EgressMessage;

/** What protobuf's compilers generate: google-protobuf, protobufjs and ts-proto, protobuf-es 1.x. */
export type ProtoClass<T> =
  | { deserializeBinary(bytes: Uint8Array): T }
  | { encode(message: T): { finish(): Uint8Array }; decode(bytes: Uint8Array): T }
  | { fromBinary(bytes: Uint8Array): T };

export interface StateFunOptions {
  /** Is told of each kind of failure once a minute; without an error if a request was refused. Default: `console.error`. */
  log?: (text: string, error: unknown) => void;
  /** Whether a runtime's operator sees stacks; they tell of the program's inside. Default: false. */
  showStacks?: boolean;
  /** Whether a runtime may send many addresses in one request. Default: true. */
  bundles?: boolean;
  /** How many functions of one such request may be waited for side by side. Default: 256. */
  bundleConcurrency?: number;
  /** A larger request is refused with 413. Default: 64 MiB. */
  maxRequestBytes?: number;
}

export interface Response {
  status: number;
  headers: Record<string, string>;
  body: Buffer;
}

/** What of an event of AWS Lambda is looked at. */
export interface LambdaEvent {
  body?: string | null | undefined;
  isBase64Encoded?: boolean | undefined;
  headers?: Record<string, string | undefined> | null | undefined;
  multiValueHeaders?: Record<string, string[] | undefined> | null | undefined;
}

export interface LambdaResult {
  statusCode: number;
  headers: Record<string, string>;
  body: string;
  isBase64Encoded: boolean;
}

/** The functions of one server. */
export class StateFun {
  constructor(options?: StateFunOptions);

  /** Bind a function to a typename; one that was bound to it before is replaced. */
  bind<const Specs extends readonly ValueSpecOpts[] = readonly []>(options: FunctionOpts<Specs>): void;

  static booleanType(): Type<boolean>;
  /** Whole numbers of 32 bits. */
  static intType(): Type<number>;
  /** Whole numbers of 64 bits. */
  static longType(): Type<bigint>;
  static floatType(): Type<number>;
  static doubleType(): Type<number>;
  static stringType(): Type<string>;
  static jsonType<T = any>(typename: string): Type<T>;
  static protoType<T>(typename: string, messageClass: ProtoClass<T>): Type<T>;
  static customType<T>(
    typename: string,
    serialize: (value: T) => Uint8Array,
    deserialize: (bytes: Buffer) => T,
  ): Type<T>;

  /** The request listener for Node's http and https, and for Express. */
  handler(): (request: IncomingMessage, response: ServerResponse) => Promise<void>;
  handle(request: IncomingMessage, response: ServerResponse): Promise<void>;

  /** A plugin for Fastify, with the option `path`. */
  fastify(): (server: any, options?: { path?: string }) => Promise<void>;

  /** The handler of an AWS Lambda function, behind a function URL, an API gateway or a load balancer. */
  lambda(): (event: LambdaEvent) => Promise<LambdaResult>;

  /** Respond to a request that came by other ways: whatever becomes of it, there is a response. */
  respond(body: Uint8Array, headers?: Record<string, string | string[] | undefined>): Promise<Response>;
}
