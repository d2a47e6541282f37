"""Every block of docs/IDENTITY.md is run: those that need the operator program by tests/e2e/test_identity.py, the others here."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import samcli
from click.testing import CliRunner
from requests.structures import CaseInsensitiveDict
from samcli.cli.main import cli
from samcli.commands.deploy import command as deploy_command
from samtranslator.yaml_helper import yaml_parse

from infra.local.settings import ROOT
from tests.e2e.guide import IDENTITY, IDENTITY_BLOCKS, identity_block

SCRIPT_SECONDS = 60

# Runs an Action for an event, and prints its trigger and what it called.
ACTION_RUNNER = """
const calls = [];
const record = (name) => (...values) => { calls.push([name, ...values]); };
const api = { access: { deny: record("deny") }, accessToken: { setCustomClaim: record("setCustomClaim") } };
const action = {};
new Function("exports", process.argv[1])(action);
const [run] = Object.values(action);
run(JSON.parse(process.argv[2]), api).then(() => console.log(JSON.stringify([Object.keys(action), calls])));
"""


def parameters_text(section: str) -> str:
    """Returns the first parameters of a section."""
    return next(block.text for block in IDENTITY_BLOCKS if block.section == section and block.language == "yaml")


def parameters(section: str) -> dict[str, str]:
    return dict(yaml_parse(parameters_text(section)))


def test_every_block_of_the_page_is_run() -> None:
    tests = Path(__file__).read_text() + (ROOT / "tests" / "e2e" / "test_identity.py").read_text()
    # test_every_block_of_the_page_starts_in_production runs all parameters.
    others = [block for block in IDENTITY_BLOCKS if block.language != "yaml"]
    assert [block.line for block in others if len(block.tags) != 1] == []
    tags = [tag for block in others for tag in block.tags]
    assert [tag for tag in tags if not re.search(rf'(identity_block|run_action)\("{tag}"', tests)] == []


# ----------------------------------------------------------------------------------------------------------------------
# Deployment
# ----------------------------------------------------------------------------------------------------------------------


def deployed_parameters(arguments: list[str]) -> dict[str, str]:
    """Returns the parameters that the SAM CLI would deploy from the working directory."""
    with mock.patch.object(deploy_command, "do_cli", autospec=True) as deploy:
        outcome = CliRunner().invoke(cli, arguments)
    assert outcome.exit_code == 0, outcome.output
    [call] = deploy.call_args_list
    [overrides] = [value for value in call.args if isinstance(value, dict) and "TokenIssuer" in value]
    return dict(overrides)


@pytest.mark.parametrize("section", ["Auth0", "Set the parameters"])
def test_the_file_is_deployed_instead_of_saved_parameters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, section: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SAM_CLI_TELEMETRY", "0")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    shutil.copy(ROOT / "template.yaml", tmp_path)
    (tmp_path / "parameters.yaml").write_text(parameters_text(section))
    config = (ROOT / "samconfig.toml").read_text()
    heading, _, _ = identity_block("samconfig").partition("\n")
    assert config.count(f"{heading}\n") == 1

    # As `sam deploy --guided` saves them.
    saved = r'parameter_overrides = "TokenIssuer=\"https://old.example\" WriteShards=\"9\""'
    (tmp_path / "samconfig.toml").write_text(config.replace(heading, f"{heading}\n{saved}"))
    program, *arguments = shlex.split(identity_block("deploy"))
    assert program == "sam"
    assert deployed_parameters(arguments) == parameters(section)
    assert deployed_parameters(["deploy"]) == {"TokenIssuer": "https://old.example", "WriteShards": "9"}

    (tmp_path / "samconfig.toml").write_text(config.replace(f"{heading}\n", identity_block("samconfig")))
    assert deployed_parameters(["deploy"]) == parameters(section)


def test_the_page_names_the_version_of_the_sam_cli_that_is_tested() -> None:
    assert f"(tested with SAM CLI {samcli.__version__})" in " ".join(IDENTITY.read_text().split())


def test_deployments_of_the_runbooks_pass_the_file() -> None:
    _, _, option = identity_block("deploy").strip().partition("sam deploy ")
    commands = re.findall(r"^.*sam build && (sam deploy.*)$", (ROOT / "docs" / "RUNBOOKS.md").read_text(), re.MULTILINE)
    assert len(commands) == 2
    assert [command for command in commands if option not in command] == []


# ----------------------------------------------------------------------------------------------------------------------
# Auth0
# ----------------------------------------------------------------------------------------------------------------------


def run_action(tag: str, event: dict[str, Any]) -> tuple[str, list[list[str]]]:
    """Returns the trigger of an Action, and its calls."""
    if shutil.which("node") is None:
        pytest.skip("node is missing, which runs Actions")
    done = subprocess.run(
        ["node", "-e", ACTION_RUNNER, identity_block(tag), json.dumps(event)],
        capture_output=True, text=True, timeout=SCRIPT_SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    [trigger], calls = json.loads(done.stdout)
    return trigger, calls


def test_the_action_after_a_login_names_the_organization_for_this_api_alone() -> None:
    given = parameters("Auth0")
    this_api = {"resource_server": {"identifier": given["TokenAudience"]}}
    organization = {"organization": {"id": "org_1", "name": "acme"}}
    for event, calls in [
        (this_api | organization, [["setCustomClaim", given["TokenTenantClaim"], "acme"]]),
        (this_api, [["deny", "Log in to an organization."]]),
        ({"resource_server": {"identifier": "https://another.example"}}, []),
        (organization, []),
    ]:
        assert run_action("post-login", event) == ("onExecutePostLogin", calls), event


def test_the_action_for_machines_names_the_tenant_of_the_application() -> None:
    event = {"client": {"client_id": "my_machine", "metadata": {"tenant": "acme"}}}
    calls = [["setCustomClaim", parameters("Auth0")["TokenTenantClaim"], "acme"]]
    assert run_action("credentials-exchange", event) == ("onExecuteCredentialsExchange", calls)


# ----------------------------------------------------------------------------------------------------------------------
# Callers
# ----------------------------------------------------------------------------------------------------------------------


def test_the_challenges_are_those_that_the_service_is_tested_for() -> None:
    tests = (ROOT / "shared" / "authentication" / "tests" / "token" / "attacks.rs").read_text()
    lines = identity_block("challenges").splitlines()
    assert len(lines) == 2
    for line in lines:
        name, _, challenge = line.partition(": ")
        assert (name, f'r#"{challenge}"#' in tests) == ("WWW-Authenticate", True), line


@pytest.mark.parametrize("name", ["www-authenticate", "x-amzn-remapped-www-authenticate"])
def test_the_challenge_is_found_under_both_names(name: str) -> None:
    variables: dict[str, Any] = {"answer": mock.Mock(headers=CaseInsensitiveDict({name: "Bearer"}))}
    exec(identity_block("challenge"), variables)
    assert variables["challenge"] == "Bearer"
