#!/usr/bin/env bash
# librdkafka prints a topic's id in another base64 alphabet than Kafka itself does.
#
# A good guess: what `describe_topics` says is a topic's id can be compared with what Kafka's tools, its logs and its data
# folders say, as text.
# Found with confluent-kafka 2.16.1 on Apache Kafka 4.1.0: Kafka prints ids for URLs (RFC 4648, 5: `-` and `_`), librdkafka with
# `+` and `/`. Of 22 characters nearly every second id has one of those, so a comparison fails for half of the topics and goes well in a small test.
#
# Seen, with other counts each time:
#   32 topics: 15 ids are not the text that Kafka has; with + and / as - and _ all are
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
python3 -m venv env && env/bin/pip install -q confluent-kafka==2.16.1
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
java -cp 'libs/*' kafka.tools.StorageTool format -t MkU3OEVBNTcwNTJENDM2Qg -c server.properties > format.log 2>&1
java -Xmx512m -cp 'libs/*' kafka.Kafka server.properties > broker.log 2>&1 & server=$!
cat > try.py <<'PY'
import pathlib
import sys
import time

from confluent_kafka import TopicCollection
from confluent_kafka.admin import AdminClient, NewTopic

port, data = sys.argv[1], pathlib.Path(sys.argv[2])
admin = AdminClient({"bootstrap.servers": f"127.0.0.1:{port}", "log_level": 0})
for _ in range(60):
    try:
        admin.list_topics(timeout=2)
        break
    except Exception:
        time.sleep(1)
names = [f"topic-{number}" for number in range(32)]
for done in admin.create_topics([NewTopic(name, 1, 1) for name in names]).values():
    done.result(30)
time.sleep(3)
described = admin.describe_topics(TopicCollection(names))
said = {name: str(found.result(30).topic_id) for name, found in described.items()}
kept = {}
for name in names:
    lines = (data / f"{name}-0" / "partition.metadata").read_text().splitlines()
    kept[name] = next(line.split(": ")[1] for line in lines if line.startswith("topic_id: "))
others = sum(said[name] != kept[name] for name in names)
translated = {name: one.replace("+", "-").replace("/", "_") for name, one in said.items()}
verdict = "all are" if translated == kept else "not all are"
print(f"{len(names)} topics: {others} ids are not the text that Kafka has; with + and / as - and _ {verdict}")
sys.exit(not (others > 0 and translated == kept))
PY
env/bin/python try.py "$port" "$folder/data"
