"""Planted bugs of shadows, and of imports of savepoints."""

from tests.simulation.planted.mutant import Mutant

MUTANTS = (
    *(
        Mutant(name, ((file, before, after),), "tests/unit/app/test_shadow.py")
        for name, file, before, after in (
            (
                "have a shadow write where its original writes",
                "connectors/kafka/egress/records.py",
                "        topic += topic_suffix\n",
                "",
            ),
            (
                "have a checkpoint of a shadow name the original's topic",
                "connectors/kafka/egress/records.py",
                "        value = with_kafka_topic(value, topic)\n",
                "",
            ),
            (
                "let a shadow go on in the place of its original",
                "app/shadow.py",
                "not was_shadow and has_run",
                "False",
            ),
        )
    ),
    *(
        Mutant(name, ((file, before, after),), "tests/unit/connectors/flink/test_importing.py")
        for name, file, before, after in (
            (
                "go on at the last offset that Flink has read",
                "connectors/flink/rows/operator_rows.py",
                "else self.last + 1",
                "else self.last",
            ),
            (
                "bring the queue in front of what was in flight",
                "connectors/flink/importing/carrying.py",
                "setdefault(function_type, []).append(",
                "setdefault(function_type, []).insert(0, ",
            ),
            (
                "take an id from a key group that it is not of",
                "connectors/flink/rows/function_rows.py",
                "if group != row.key_group or",
                "if False and",
            ),
            (
                "forget when an imported value was last used",
                "connectors/flink/importing/carrying.py",
                "stamps or None",
                "None",
            ),
            (
                "let a worker begin on half an import",
                "adapters/storage/state_folder.py",
                "if not for_import and was_left:",
                "if False:",
            ),
        )
    ),
)
