#!/usr/bin/env bash
# A transaction of Kafka that begins right behind the commit of the one before takes 20 ms longer: the broker sends it away, and
# the client waits.
#
# A good guess: commit_transaction() returns when the transaction is over, so the next one costs what this one did, a few
# milliseconds for three requests on a machine of one's own.
# Found with aiokafka 0.14.0 on Apache Kafka 4.1.0: a commit is answered when it is decided, before the marks are in the topics; until they
# are, the next AddPartitionsToTxn is answered CONCURRENT_TRANSACTIONS. That is over in a millisecond or two, but aiokafka waits
# 20 ms before it asks again (as the Java client does), which is most of what short transactions take.
#
# Seen:
#   at once: 94 % take 20 ms or more; told to wait 207 times, {0.02} s each
#   100 ms later: 0 % take 20 ms or more; told to wait 0 times
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
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
CONF
java -cp 'libs/*' kafka.tools.StorageTool format -t MkU3OEVBNTcwNTJENDM2Qw -c server.properties > format.log 2>&1
java -Xmx512m -cp 'libs/*' kafka.Kafka server.properties > broker.log 2>&1 & server=$!
cat > try.py <<'PY'
import asyncio
import sys
import time

import aiokafka.producer.sender as sender
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError

SERVERS = f"127.0.0.1:{sys.argv[1]}"
COUNT = 200
answers = []
handle = sender.AddPartitionsToTxnHandler.handle_response


def counted(handler, response):
    """Count how often the broker had the client wait."""
    pause_s = handle(handler, response)
    answers.append(pause_s)
    return pause_s


sender.AddPartitionsToTxnHandler.handle_response = counted


async def ready():
    for _ in range(60):
        admin = AIOKafkaAdminClient(bootstrap_servers=SERVERS)
        try:
            await admin.start()
            return admin
        except KafkaError:
            await admin.close()
            await asyncio.sleep(1)
    raise SystemExit("no broker")


async def slow_share(pause_s):
    """Return which share of transactions takes 20 ms or more, each begun so long after the commit of the one before."""
    producer = AIOKafkaProducer(bootstrap_servers=SERVERS, transactional_id=f"t{pause_s}")
    await producer.start()
    slow = 0
    for number in range(COUNT + 20):
        began = time.monotonic()
        async with producer.transaction():
            await producer.send("small", b"x", partition=0)
        slow += number >= 20 and time.monotonic() - began >= 0.02
        await asyncio.sleep(pause_s)
    await producer.stop()
    return slow / COUNT


async def main():
    admin = await ready()
    await admin.create_topics([NewTopic("small", 1, 1)])
    await admin.close()
    await asyncio.sleep(2)
    found = {}
    for name, pause_s in (("at once", 0.0), ("100 ms later", 0.1)):
        answers.clear()
        found[name] = await slow_share(pause_s)
        waits = [one for one in answers if one]
        print(f"{name}: {100 * found[name]:.0f} % take 20 ms or more; told to wait {len(waits)} times, {set(waits)} s each")
    return found["at once"] > 0.5 and found["100 ms later"] < 0.1


sys.exit(not asyncio.run(main()))
PY
env/bin/python try.py "$port" 2> errors.log
