"""The original, Apache StateFun on Flink, with the settings of its container image: fetched, started and ended.

What the image's entry point does is done here: it wants a path of its own, so Flink's entry point for applications runs the
same job, one JobManager and one TaskManager in a process tree of theirs.
"""

import contextlib
import json
import os
import shutil
import signal
import sys
from functools import partial
from pathlib import Path

from tests.support.meter import process_tree
from tests.support.processes import Process, wait_until
from tests.support.provisions import command_path, made_once, run_or_unavailable
from tests.support.sockets import free_port, http_get

STATEFUN, FLINK = "3.3.0", "1.16.2"
_POM = """\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>local</groupId><artifactId>statefun</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>{dependencies}</dependencies>
</project>
"""
_DEPENDENCY = (
    "<dependency><groupId>org.apache.flink</groupId><artifactId>{name}</artifactId>"
    f"<version>{STATEFUN}</version><exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId>"
    "</exclusion></exclusions></dependency>"
)
_OF_FLINK = ("dist", "scala_2.12", "cep", "connector-files", "csv", "json", "shaded-zookeeper")
_OPENED = (
    "lang lang.invoke lang.reflect io net nio math text time util util.concurrent util.concurrent.atomic "
    "util.concurrent.locks security"
)
_CONF = """\
statefun.flink-job-name: Statefun Application
statefun.remote.module-name: file://{home}/module.yaml
classloader.parent-first-patterns.additional: org.apache.flink.statefun;org.apache.kafka;com.google.protobuf
restart-strategy: fixed-delay
restart-strategy.fixed-delay.attempts: 2147483647
restart-strategy.fixed-delay.delay: 1sec
state.backend: rocksdb
state.backend.local-recovery: true
state.backend.incremental: true
state.backend.rocksdb.timer-service.factory: ROCKSDB
state.backend.rocksdb.localdir: {home}/rocksdb
state.backend.rocksdb.memory.partitioned-index-filters: true
state.backend.rocksdb.checkpoint.transfer.thread.num: 8
state.backend.rocksdb.thread.num: 4
state.checkpoints.dir: file://{home}/checkpoints
taskmanager.state.local.root-dirs: {home}/recovery
io.tmp.dirs: {home}
jobmanager.memory.process.size: 1g
taskmanager.memory.process.size: 4g
pipeline.auto-generate-uids: false
execution.savepoint.ignore-unclaimed-state: true
jobmanager.rpc.address: 127.0.0.1
jobmanager.rpc.port: {rpc}
blob.server.port: {blob}
jobmanager.bind-host: 127.0.0.1
taskmanager.bind-host: 127.0.0.1
taskmanager.host: 127.0.0.1
rest.address: 127.0.0.1
rest.bind-address: 127.0.0.1
rest.port: {rest}
parallelism.default: {parallelism}
taskmanager.numberOfTaskSlots: {parallelism}
execution.checkpointing.interval: {interval}
execution.checkpointing.mode: EXACTLY_ONCE
"""
_LOGGING = """\
rootLogger.level = WARN
rootLogger.appenderRef.out.ref = out
appender.out.name = out
appender.out.type = CONSOLE
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{HH:mm:ss,SSS} %-5p %c{1} - %m%n
"""


def prepare() -> Path:
    """Return the folder of the jars; the first call fetches some 400 MB from Maven's and Python's registries."""
    return made_once(f"statefun-{STATEFUN}-flink-{FLINK}", _fetch)


def _fetch(home: Path) -> None:
    names = ("statefun-flink-distribution", "statefun-flink-core")
    dependencies = "".join(_DEPENDENCY.format(name=name) for name in names)
    (home / "pom.xml").write_text(_POM.format(dependencies=dependencies))
    goal = "org.apache.maven.plugins:maven-dependency-plugin:copy-dependencies"
    run = partial(run_or_unavailable, cwd=home, timeout_s=1800)
    run([command_path("mvn"), "-q", "-B", goal, f"-DoutputDirectory={home / 'lib'}"])
    # Flink's distribution is not at Maven's; the libraries of PyFlink are the same.
    venv = home / "venv"
    run([sys.executable, "-m", "venv", venv])
    pip: list[str | Path] = [venv / "bin" / "pip", "install", "--quiet"]
    run([*pip, "wheel", "setuptools<70"])
    flink = f"apache-flink-libraries=={FLINK}"
    run([*pip, "--no-deps", "--no-build-isolation", "--no-cache-dir", flink])
    (libraries,) = venv.glob("lib/python3*/site-packages/pyflink")
    jars = [*libraries.glob("lib/log4j*.jar"), libraries / "bin" / "bash-java-utils.jar"]
    jars += [jar for part in _OF_FLINK for jar in libraries.glob(f"lib/flink-{part}*.jar")]
    for jar in jars:
        shutil.copy(jar, home / "lib")
    shutil.rmtree(venv)


class StateFun:
    """StateFun that runs a module; it stands for a worker in a rig."""

    def __init__(
        self,
        module: str,
        home: Path,
        *,
        interval: str = "1s",
        parallelism: int = 1,
        cpus: frozenset[int] | None = None,
    ) -> None:
        self._jars = prepare() / "lib"
        self._home = home
        self._cpus = cpus
        self._rest = free_port()
        self._process: Process | None = None
        (home / "module.yaml").write_text(module)
        ports = {"rest": self._rest, "rpc": free_port(), "blob": free_port()}
        conf = _CONF.format(home=home, interval=interval, parallelism=parallelism, **ports)
        (home / "flink-conf.yaml").write_text(conf)
        (home / "log4j.properties").write_text(_LOGGING)

    def start(self) -> "StateFun":
        """Return when all of the job's tasks run."""
        application = "org.apache.flink.container.entrypoint.StandaloneApplicationClusterEntryPoint"
        tasks = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"
        job = "--job-classname org.apache.flink.statefun.flink.core.StatefulFunctionsJob"
        lines = [
            f"{self._java('JM', application)} {job} &",
            f"{self._java('TM', tasks)} &",
            "wait",
        ]
        shell = ["/bin/sh", "-c", "\n".join(lines)]
        self._process = Process(
            shell, log=self._home / "flink.log", cwd=self._home, cpus=self._cpus
        )
        self.process.wait_for(self._runs, "all tasks running", timeout_s=180)
        return self

    @property
    def process(self) -> Process:
        assert self._process is not None, "it was not started"
        return self._process

    @property
    def pid(self) -> int:
        return self.process.pid

    def output(self) -> str:
        return self.process.output()

    def metrics(self) -> dict[str, float]:
        """Return nothing: what it counts goes to reporters that are not set up."""
        return {}

    def close(self) -> None:
        """End all of it; what it had is in a folder that goes, too."""
        if self._process is None:
            return
        tree = process_tree(self.pid)
        for pid in tree:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        wait_until(lambda: self.process.exit_status is not None, "the end of Flink")

    def _java(self, which: str, program: str) -> str:
        """Return the command of one of the two, with the memory that Flink's own scripts would give it."""
        utils = "org.apache.flink.runtime.util.bash.BashJavaUtils"
        logging = f"-Dlog4j.configurationFile=file:{self._home}/log4j.properties"
        java = [command_path("java"), "-cp", self._class_path(), logging]
        asked = [*java, utils, f"GET_{which}_RESOURCE_PARAMS", "--configDir", self._home]
        answer = run_or_unavailable(asked, cwd=self._home, timeout_s=60)
        mark = "BASH_JAVA_UTILS_EXEC_RESULT:"
        results = [line.partition(mark)[2] for line in answer.splitlines() if mark in line]
        memory, dynamic = (*results, "")[:2]
        opened = [f"--add-opens=java.base/java.{part}=ALL-UNNAMED" for part in _OPENED.split()]
        opened += ["--add-opens=java.base/sun.net.util=ALL-UNNAMED"]
        opened += ["--add-opens=java.base/sun.nio.ch=ALL-UNNAMED", "-XX:+UseG1GC"]
        # Their parent may be killed, and they end with it.
        start = f"{command_path('setpriv')} --pdeathsig KILL '{java[0]}' {memory} {' '.join(opened)} {logging} -cp '{self._class_path()}'"
        return f"{start} {program} --configDir '{self._home}' {dynamic}"

    def _class_path(self) -> str:
        # As Flink's own scripts have it: its distribution last.
        jars = sorted(self._jars.glob("*.jar"), key=lambda jar: jar.name.startswith("flink-dist"))
        return os.pathsep.join(map(str, jars))

    def _runs(self) -> bool:
        answer = http_get(f"http://127.0.0.1:{self._rest}/jobs/overview")
        if answer is None or answer[0] != 200:
            return False
        tasks = [job["tasks"] for job in json.loads(answer[1])["jobs"]]
        return bool(tasks) and all(each["running"] == each["total"] > 0 for each in tasks)
