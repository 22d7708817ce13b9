"""The environment variables that the template sets for functions, with no access to AWS, and Hypothesis profiles."""

import os

from hypothesis import HealthCheck, settings

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "STACK": "remit",
    "ENVIRONMENT": "local",
    "PUBLIC_URL": "https://api.remit.example",
    "ALLOWED_ORIGIN": "https://app.remit.example",
    "SENDER": "no-reply@remit.example",
    "EVENTS_TOPIC": "arn:aws:sns:eu-central-1:123456789012:remit-events",
    "STATE_MACHINES": "arn:aws:states:eu-central-1:123456789012:stateMachine:remit-",
    "RAIL_QUEUE": "https://sqs.eu-central-1.amazonaws.com/123456789012/remit-rail",
    "MAIL_FLUSH_QUEUE": "https://sqs.eu-central-1.amazonaws.com/123456789012/remit-mail-flush",
    "TOKEN_KEYS": "11111111-2222-3333-4444-555555555555",
    "DATA_KEY": "66666666-7777-8888-9999-000000000000",
    "BCRYPT_COST": "4",
    "LOGIN_FAILURES_PER_EMAIL": "50",
    "LOGIN_FAILURES_PER_ADDRESS": "100",
    "REGISTRATIONS_PER_ADDRESS": "20",
    "POWERTOOLS_METRICS_DISABLED": "false",
    "POWERTOOLS_LOG_LEVEL": "CRITICAL",
}
for name, value in ENVIRONMENT.items():
    os.environ.setdefault(name, value)

# The same examples every time and no deadline, so that tests do not fail by chance or on a busy machine. With
# REMIT_FUZZ_EXAMPLES, examples are new each time.
settings.register_profile("gate", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("fuzz", deadline=None)
settings.load_profile("fuzz" if "REMIT_FUZZ_EXAMPLES" in os.environ else "gate")
