"""How far the stories of this folder go: so many examples, the same ones every time, and none written to disk."""

from hypothesis import HealthCheck, Phase, settings


def bounded(examples: int) -> settings:
    """Settings for *examples* examples; a failing one is not made smaller, for each takes a server's time."""
    return settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )
