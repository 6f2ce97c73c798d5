// A program that its author wants checked: the storage has the types of the specs, messages those of their values.
import http from "node:http";
import express from "express";
import Fastify from "fastify";
import { Context, StateFun, StorageOf, Type, ValueSpecOpts, kafkaEgressMessage, messageBuilder } from "statefun-sdk";

interface Cart {
  items: string[];
}

const CART = StateFun.jsonType<Cart>("example/Cart");
const statefun = new StateFun({ showStacks: true, log: (text: string) => console.log(text) });

statefun.bind({
  typename: "example/cart",
  specs: [
    { name: "cart", type: CART, expireAfterWrite: 86_400_000 },
    { name: "seen", type: StateFun.intType() },
    { name: "total", type: StateFun.longType() },
    { name: "price", type: StateFun.doubleType() },
  ],
  async fn(context, message) {
    // @ts-expect-error a state is absent until it is set
    const seen: number = context.storage.seen;
    const cart: Cart | null = context.storage.cart;
    context.storage.cart = { items: [...(cart?.items ?? []), message.asString() ?? ""] };
    context.storage.seen = (context.storage.seen ?? 0) + 1;
    context.storage.total = (context.storage.total ?? 0n) + 1n;
    context.storage.price = null;

    // @ts-expect-error a number is no BigInt
    context.storage.total = 1;
    // @ts-expect-error a misspelt name
    context.storage.sen = 1;
    // @ts-expect-error a misspelt property of a value
    context.storage.cart = { itms: [] };
    // @ts-expect-error undefined is not how a state is deleted
    context.storage.price = undefined;
    await Promise.resolve();
  },
});

// A function of its own, with the type that its specs give the storage.
const SPECS = [{ name: "seen", type: StateFun.intType() }] as const satisfies readonly ValueSpecOpts[];

function count(context: Context<StorageOf<typeof SPECS>>): void {
  const seen: number | null = context.storage.seen;
  context.storage.seen = (seen ?? 0) + 1;
}

statefun.bind({ typename: "example/count", specs: SPECS, fn: count });

statefun.bind({
  typename: "example/stateless",
  fn(context, message) {
    // @ts-expect-error it has no states
    context.storage.seen = 1;
    const long: bigint | null = message.asLong();
    context.send(messageBuilder({ typename: "example/cart", id: "zoe", value: long ?? 0n }));
    context.send(messageBuilder({ typename: "example/cart", id: "zoe", value: { items: [] }, valueType: CART }));
    // @ts-expect-error the value is none of its type
    context.send(messageBuilder({ typename: "example/cart", id: "zoe", value: { items: 1 }, valueType: CART }));
    context.send(kafkaEgressMessage({ typename: "x/y", topic: "t", value: "v", headers: { trace: "1" }, partition: 0 }));
    const timestampMs: number | undefined = context.recordMetadata?.timestampMs;
    return Promise.resolve(timestampMs);
  },
});

class Reversed extends Type<string> {
  constructor() {
    super("example/reversed");
  }
  serialize(value: string): Buffer {
    return Buffer.from([...value].reverse().join(""));
  }
  deserialize(bytes: Buffer): string {
    return [...bytes.toString()].reverse().join("");
  }
}
const reversed: Type<string> = new Reversed();
const dates: Type<Date> = StateFun.customType(
  "example/date",
  (date: Date) => Buffer.from(date.toISOString()),
  (bytes) => new Date(bytes.toString()),
);
void [reversed, dates];

http.createServer(statefun.handler()).listen(0).close();
express().post("/statefun", statefun.handler());
void Fastify().register(statefun.fastify(), { path: "/statefun" });
export const handler = statefun.lambda();
