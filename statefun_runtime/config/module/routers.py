"""`routers` of a topic: targets that the content of a record decides."""

from collections.abc import Collection
from pathlib import Path
from urllib.parse import unquote, urlsplit

from statefun_runtime.config.problems import Code
from statefun_runtime.config.reading.fields import Fields, Shape
from statefun_runtime.config.reading.secrets import reveal
from statefun_runtime.config.yaml.positions import MapNode
from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.module.specs import ProtobufRouter
from statefun_runtime.core.module.templates import TEMPLATE_FORM, TargetTemplate, parse_target

UNSERVED_ADVICE = "one that has none yet is named in 'unservedTargets', too"
ROUTER_SHAPE = Shape("router", ("target", "messageType", "descriptorSet"))


def read_routers(topic: Fields, unserved: Collection[TypeName]) -> tuple[ProtobufRouter, ...]:
    """Read the routers of a topic, in the order of the file; most topics have none."""
    routers = []
    for item in topic.items("routers") or ():
        if not isinstance(item, MapNode):
            hint = "write 'target:', 'messageType:' and 'descriptorSet:'"
            topic.wrong("routers", item, "a list of mappings", hint)
            continue
        fields = Fields(item, f"{ROUTER_SHAPE.noun} of {topic.label}", topic.draft)
        fields.allow_only(ROUTER_SHAPE)
        router = _read_router(fields, unserved)
        if router is not None:
            routers.append(router)
    return tuple(routers)


def _read_router(fields: Fields, unserved: Collection[TypeName]) -> ProtobufRouter | None:
    target = _read_target(fields, unserved)
    message_type = fields.text("messageType", required=True)
    location = fields.text("descriptorSet", required=True)
    if target is None or message_type is None or location is None:
        return None
    path = _path(reveal(location), fields.draft.source.file)
    return ProtobufRouter(target, message_type, path)


def _read_target(fields: Fields, unserved: Collection[TypeName]) -> TargetTemplate | None:
    scalar = fields.scalar("target", required=True)
    if scalar is None:
        return None
    try:
        target = parse_target(scalar.text)
    except ValueError as error:
        fields.draft.error(scalar.place, Code.BAD_TARGET, str(error), TEMPLATE_FORM)
        return None
    function_type = TypeName(*target.function_type) if target.function_type else None
    if function_type is not None and function_type not in unserved:
        fields.draft.route(function_type, scalar.place, UNSERVED_ADVICE)
    return target


def _path(location: str, module_file: str) -> str:
    """Return the path of a descriptor set; what was on the class path is beside the module here."""
    if location.startswith("classpath:"):
        name = location.removeprefix("classpath:").lstrip("/")
        return str(Path(module_file).parent / name)
    if not location.startswith("file:"):
        return location
    try:
        return unquote(urlsplit(location).path)
    except ValueError:
        return location
