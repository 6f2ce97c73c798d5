// A program that was written against the types of the stock SDK.
import { Address, Context, FunctionOpts, Message, StateFun, Type, ValueSpecOpts, egressMessageBuilder } from "statefun-sdk";

const RECORD: Type<any> = StateFun.jsonType("io.statefun.playground/EgressRecord");
const specs: ValueSpecOpts[] = [{ name: "seen", type: StateFun.intType() }];

const options: FunctionOpts = {
  typename: "example/greeter",
  specs,
  async fn(context: Context, message: Message): Promise<void> {
    context.storage.seen += 1;
    const caller: Address | null = context.caller;
    const value = { topic: "greetings", payload: `${message.asString()} ${caller?.id}` };
    context.send(egressMessageBuilder({ typename: "io.statefun.playground/egress", value, valueType: RECORD }));
  },
};

const statefun = new StateFun();
statefun.bind(options);
