"""Settings for the whole test suite."""

from hypothesis import HealthCheck, settings

# The same checkout gives the same result; `--hypothesis-profile=explore` looks for new examples.
settings.register_profile(
    "steady", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.register_profile("explore", settings.get_profile("steady"), derandomize=False, max_examples=500)
settings.load_profile("steady")
