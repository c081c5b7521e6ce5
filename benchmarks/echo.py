"""The yardstick of HTTP: a bare BentoML service that says back the number it was sent."""

import bentoml


@bentoml.service(name="xrl_echo", workers=1, logging={"access": {"enabled": False}})
class Echo:
    """One endpoint without any work in it."""

    @bentoml.api
    async def echo(self, number: float) -> float:
        """The number."""
        return number
