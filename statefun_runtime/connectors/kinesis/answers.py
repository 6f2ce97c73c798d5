"""Whether Kinesis answers: whoever calls it tells, and it is asked when nobody did for a while."""

import asyncio

from botocore.exceptions import ClientError

from statefun_runtime.connectors.kinesis.clients import CALL_ERRORS
from statefun_runtime.connectors.kinesis.protocol import KinesisClient
from statefun_runtime.connectors.kinesis.settings.aws import AwsRegion, describe_region

_FRESH_S = 3.0
_ASK_S = 1.5


class Answers:
    """What one ingress or egress hears; a refusal is an answer, so nothing has to be allowed for asking."""

    def __init__(self, region: AwsRegion) -> None:
        self._whom = f"Kinesis {describe_region(region)}"
        self._heard_s: float | None = None

    def heard(self) -> None:
        """A call was answered."""
        self._heard_s = asyncio.get_running_loop().time()

    async def silent(self, client: KinesisClient) -> list[str]:
        """Return who gives no answer, within a moment."""
        now_s = asyncio.get_running_loop().time()
        if self._heard_s is not None and now_s - self._heard_s < _FRESH_S:
            return []
        try:
            async with asyncio.timeout(_ASK_S):
                await client.list_streams(Limit=1)
        except ClientError:
            pass
        except CALL_ERRORS:
            return [self._whom]
        self.heard()
        return []
