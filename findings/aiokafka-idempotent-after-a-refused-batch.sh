#!/usr/bin/env bash
# aiokafka's idempotent producer is of no use for a topic partition after one batch that the broker refused.
#
# A good guess: a record that is larger than its topic allows fails alone, with MessageSizeTooLargeError, and the next one is
# written; so it is without `enable_idempotence`.
# Found with aiokafka 0.14.0 on Apache Kafka 4.1.0: the sequence number of the refused batch counts as used, so the broker misses it
# before every later one: each `send_and_wait` ends with OutOfOrderSequenceNumber until there is another producer.
#
# Seen:
#   idempotent: MessageSizeTooLargeError, then OutOfOrderSequenceNumber OutOfOrderSequenceNumber OutOfOrderSequenceNumber
#   plain: MessageSizeTooLargeError, then written written written
set -euo pipefail
folder=$(mktemp -d); server=
trap '[ -z "$server" ] || { kill -9 "$server"; wait "$server" || true; } 2>/dev/null; rm -rf "$folder"' EXIT
cd "$folder"
cat > pom.xml <<'XML'
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion><groupId>x</groupId><artifactId>x</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>4.1.0</version></dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
  </dependencies>
</project>
XML
mvn -q -B dependency:copy-dependencies -DoutputDirectory=libs -DincludeScope=runtime > mvn.log 2>&1 || { tail -5 mvn.log; exit 2; }
python3 -m venv env && env/bin/pip install -q aiokafka==0.14.0
read -r port controller < <(python3 -c 'import socket
sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
print(*(one.getsockname()[1] for one in sockets))')
cat > server.properties <<CONF
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$controller
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller
advertised.listeners=PLAINTEXT://127.0.0.1:$port
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs=$folder/data
offsets.topic.replication.factor=1
CONF
java -cp 'libs/*' kafka.tools.StorageTool format -t MkU3OEVBNTcwNTJENDM2Qw -c server.properties > format.log 2>&1
java -Xmx512m -cp 'libs/*' kafka.Kafka server.properties > broker.log 2>&1 & server=$!
cat > try.py <<'PY'
import asyncio
import sys

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError

SERVERS = f"127.0.0.1:{sys.argv[1]}"


async def attempt(producer, value):
    try:
        async with asyncio.timeout(20):
            await producer.send_and_wait("small", value)
        return "written"
    except (KafkaError, TimeoutError) as error:
        return type(error).__name__


async def outcomes(**arguments):
    producer = AIOKafkaProducer(bootstrap_servers=SERVERS, max_request_size=10_000_000, **arguments)
    await producer.start()
    first = await attempt(producer, b"a")
    refused = await attempt(producer, b"x" * 100_000)
    later = [await attempt(producer, b"b") for _ in range(3)]
    try:
        async with asyncio.timeout(10):
            await producer.stop()
    except (KafkaError, TimeoutError):
        pass
    return [first, refused, *later]


async def main():
    for _ in range(60):
        admin = AIOKafkaAdminClient(bootstrap_servers=SERVERS)
        try:
            await admin.start()
            break
        except KafkaError:
            await admin.close()
            await asyncio.sleep(1)
    small = {"max.message.bytes": "10000"}
    await admin.create_topics([NewTopic("small", 1, 1, topic_configs=small)])
    await admin.close()
    await asyncio.sleep(2)
    found = {
        "idempotent": await outcomes(enable_idempotence=True),
        "plain": await outcomes(enable_idempotence=False, acks="all"),
    }
    for name, (_, refused, *later) in found.items():
        print(f"{name}: {refused}, then {' '.join(later)}")
    first = {outcome[0] for outcome in found.values()}
    refused = {outcome[1] for outcome in found.values()}
    later = found["idempotent"][2:]
    return (
        first == {"written"}
        and refused == {"MessageSizeTooLargeError"}
        and later == ["OutOfOrderSequenceNumber"] * 3
        and found["plain"][2:] == ["written"] * 3
    )


sys.exit(not asyncio.run(main()))
PY
env/bin/python try.py "$port" 2> errors.log
