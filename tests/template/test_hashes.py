"""bcrypt's cost is 12 or more wherever a hash guards something (OWASP ASVS 5.0, 11.4.2)."""

from tests.support.tables import root

PARAMETER = root()["Parameters"]["BcryptCost"]


def test_the_default_is_twelve() -> None:
    assert PARAMETER["Default"] == "12"


def test_a_lower_cost_is_refused_outside_the_embedded_emulator() -> None:
    weak = [each for each in PARAMETER["AllowedValues"] if int(each) < 12]
    rule = root()["Rules"]["StrongHashes"]
    assert rule["RuleCondition"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "Environment"}, "local"]}]}
    refused = [each["Assert"]["Fn::Not"][0]["Fn::Equals"] for each in rule["Assertions"]]
    assert refused == [[{"Ref": "BcryptCost"}, each] for each in weak]
