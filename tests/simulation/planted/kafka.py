"""Planted bugs of what a Kafka egress publishes."""

from tests.simulation.planted.mutant import Mutant, one

_PUBLISHER = "connectors/kafka/egress/publisher.py"
_SENDING = "connectors/kafka/egress/sending.py"
_PROGRESS = "connectors/kafka/egress/progress.py"
_OUTBOX = "core/outboxes/epoch_outbox.py"

MUTANTS = (
    one(
        "skip the marker",
        _SENDING,
        "            noted = await producer.send(topic, value, key, partition=0)\n",
        "            noted = asyncio.get_running_loop().create_future()\n"
        "            noted.set_result(None)\n",
    ),
    Mutant(
        "read markers before initialising",
        (
            (
                _PUBLISHER,
                "        producer = self._producer = self._clients",
                "        seen = await kafka_progress.read_until(\n"
                "            self._clients, self._progress_topic, None, self._arguments\n        )\n"
                "        producer = self._producer = self._clients",
            ),
            (
                _PUBLISHER,
                "        seen = await kafka_progress.read_until(\n"
                "            self._clients, self._progress_topic, own, self._arguments\n        )\n",
                "",
            ),
            (
                _PROGRESS,
                "            while True:\n",
                "            end = consumer._partition(place).stable if own is None else 1 << 60\n"
                "            while True:\n"
                "                if await consumer.position(place) >= end - 1:\n"
                "                    return seen\n",
            ),
        ),
    ),
    one(
        "read markers up to the reported end",
        _PROGRESS,
        "            while True:\n",
        "            end = (await consumer.end_offsets([place]))[place]\n"
        "            while True:\n"
        "                if await consumer.position(place) >= end - 1:\n"
        "                    return seen\n",
    ),
    one(
        "take a timed-out transaction for a successor",
        _PUBLISHER,
        "        self._recoveries += 1\n",
        "        self._recoveries += 1\n"
        "        if type(error).__name__ == 'ProducerFenced':\n"
        "            raise FencedError('fenced') from None\n",
    ),
    one(
        "ignore how far a marker counts",
        _PUBLISHER,
        "                self.outbox.published(epoch, count)\n",
        "                self.outbox.published(epoch, 0)\n",
    ),
    Mutant(
        "read a topic that was made anew from the offset of the old one",
        (
            (
                "connectors/kafka/ingress/decision.py",
                "    is_anew = at.topic_id != log.topic_id if knows_ids else was_gone and not is_there\n",
                "    is_anew = not knows_ids and was_gone and not is_there\n",
            ),
        ),
        "tests/unit/connectors/kafka/test_kafka_splits.py",
    ),
    Mutant(
        "go on where a lost offset has come into being again",
        (
            (
                "connectors/kafka/ingress/decision.py",
                "    if is_there and not at.lost:\n",
                "    if is_there:\n",
            ),
        ),
        "tests/unit/connectors/kafka/test_kafka_splits.py",
    ),
    one(
        "begin behind the checkpoint's position",
        "connectors/kafka/ingress/decision.py",
        "        return GoesOn(replace(at, topic_id=log.topic_id or at.topic_id))\n",
        "        return GoesOn(log.at(OffsetReset.LATEST))\n",
    ),
    one(
        "publish before the epoch is complete",
        _OUTBOX,
        "            self._awaiting.append(Batch(",
        "            self._queue.append(Batch(",
    ),
    one(
        "drop the outbox of an aborted epoch",
        _OUTBOX,
        "            self._collected = batch.records + self._collected\n",
        "",
    ),
    one(
        "put an aborted outbox behind the next",
        _OUTBOX,
        "            self._collected = batch.records + self._collected\n",
        "            self._collected = self._collected + batch.records\n",
    ),
    one(
        "forget what was not acknowledged",
        "core/outboxes/direct_outbox.py",
        "        if not self._is_kept:\n            return []\n",
        "        if True:\n            return []\n",
    ),
    Mutant(
        "count a refused record before its dead letter is durable",
        (
            (
                _OUTBOX,
                "                if letter_epoch is None or letter_epoch > self._complete_epoch:\n",
                "                if letter_epoch is None:\n",
            ),
        ),
        "tests/unit/core/outboxes/test_outbox.py",
    ),
)
