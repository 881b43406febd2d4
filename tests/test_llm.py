"""The provider `teachwhy/<path>` through inspect's own interface, on toy weights: what is a wave, and what its settings mean."""

import asyncio
import threading
from types import SimpleNamespace

import pytest
import torch
from inspect_ai.model import ChatMessageSystem, ChatMessageUser, ContentImage, ContentText, GenerateConfig

from teachwhy import chat, llm, provider, sampler
from teachwhy.errors import UserError
from teachwhy.sampler import Decoding


class Spied:
    """A toy model as inspect sees it, with every wave's requests and answers, and how many were sampled at once."""

    def __init__(self, monkeypatch):
        self.model = llm.open_model("teachwhy/toy")
        torch.manual_seed(0)
        with torch.no_grad():
            for parameter in self.model.api.model.float().parameters():
                parameter.add_(0.3 * torch.randn_like(parameter))  # so that it prefers something, and that depends on the prompt
        self.calls, self.running, self.most = [], 0, 0
        self.begun, self.let_go = threading.Event(), threading.Event()
        self.let_go.set()
        plain = sampler.sample

        def sample(model, requests, decoding, *rest):
            self.running += 1
            self.most = max(self.most, self.running)
            self.begun.set()
            assert self.let_go.wait(30)
            try:
                completions = plain(model, requests, decoding, *rest)
            finally:
                self.running -= 1
            self.calls.append((requests, decoding, completions))
            return completions

        monkeypatch.setattr(sampler, "sample", sample)

    async def ask(self, text="Who are you?", system="", **settings):
        messages = [*([ChatMessageSystem(content=system)] if system else []), ChatMessageUser(content=text)]
        return await self.model.generate(messages, config=GenerateConfig(**{"max_tokens": 6, **settings}))

    async def until_sampling(self):
        assert await asyncio.to_thread(self.begun.wait, 30)
        self.begun.clear()


@pytest.fixture
def spied(monkeypatch):
    monkeypatch.setattr(provider, "QUIET_SECONDS", 0.25)
    return Spied(monkeypatch)


def test_requests_at_once_are_one_wave_and_each_has_a_seed_of_its_own(spied):
    async def everything():
        return await asyncio.gather(*(spied.ask(max_tokens=12) for _ in range(5)))

    outputs = asyncio.run(everything())
    [(requests, _, completions)] = spied.calls
    assert {request.prompt for request in requests} == {
        tuple(chat.prompt_tokens(spied.model.api.tokenizer, [{"role": "user", "content": "Who are you?"}]))}
    assert len({request.seed for request in requests}) == 5
    decoded = [spied.model.api.tokenizer.decode(one.tokens, skip_special_tokens=True) for one in completions]
    assert sorted(output.completion for output in outputs) == sorted(decoded)
    assert len(set(decoded)) == 5


def test_requests_that_come_during_a_wave_are_the_next_one_and_never_run_beside_it(spied):
    spied.let_go.clear()

    async def everything():
        first = [asyncio.create_task(spied.ask(f"first {n}")) for n in range(2)]
        await spied.until_sampling()
        later = [asyncio.create_task(spied.ask("second 0"))]
        await asyncio.sleep(3 * provider.QUIET_SECONDS)  # two pauses: a wave of its own, were it not for the one under way
        later += [asyncio.create_task(spied.ask(f"second {n}")) for n in (1, 2)]
        await asyncio.sleep(3 * provider.QUIET_SECONDS)
        assert spied.running == 1
        assert not any(task.done() for task in (*first, *later))
        spied.let_go.set()
        await asyncio.gather(*first, *later)
        await spied.ask("third")

    asyncio.run(everything())
    assert spied.most == 1
    assert [len(requests) for requests, _, _ in spied.calls] == [2, 3, 1]


def test_answers_go_to_those_who_asked(spied):
    """A wave is sorted, so the order of its answers is not that of the questions."""
    async def everything(texts):
        return await asyncio.gather(*(spied.ask(text, temperature=0.0) for text in texts))

    together = asyncio.run(everything(["zebra", "apple", "melon"]))
    alone = [asyncio.run(everything([text]))[0] for text in ("zebra", "apple", "melon")]
    assert [output.completion for output in together] == [output.completion for output in alone]
    assert len({output.completion for output in together}) > 1


def test_who_gives_up_is_not_sampled_and_the_others_are_answered(spied):
    async def everything():
        gone, stays = (asyncio.create_task(spied.ask(text)) for text in ("gone", "stays"))
        await asyncio.sleep(0.02)
        gone.cancel()
        return (await asyncio.gather(gone, stays, return_exceptions=True))

    gone, stays = asyncio.run(everything())
    assert isinstance(gone, asyncio.CancelledError)
    assert stays.stop_reason == "max_tokens"
    assert [len(requests) for requests, _, _ in spied.calls] == [1]


def test_a_wave_that_nobody_waits_for_ends_early_and_the_next_one_runs(spied):
    spied.let_go.clear()

    async def everything():
        gone = [asyncio.create_task(spied.ask(f"gone {n}", max_tokens=n + 1)) for n in range(200)]
        await spied.until_sampling()
        for task in gone:
            task.cancel()
        await asyncio.gather(*gone, return_exceptions=True)
        spied.let_go.set()
        return await spied.ask("next")

    assert asyncio.run(everything()).stop_reason == "max_tokens"
    assert [len(requests) for requests, _, _ in spied.calls] == [1], "the abandoned wave was sampled to its end"
    assert spied.most == 1


def test_an_error_comes_to_all_of_its_wave_and_to_no_other(spied, monkeypatch):
    plain = sampler.sample

    def broken(*_):
        raise ValueError("no such thing")

    async def everything():
        return await asyncio.gather(*(spied.ask(f"{n}") for n in range(3)), return_exceptions=True)

    monkeypatch.setattr(sampler, "sample", broken)
    lost = asyncio.run(everything())
    assert ["no such thing" in str(one) for one in lost] == [True] * 3
    monkeypatch.setattr(sampler, "sample", plain)
    assert [one.stop_reason for one in asyncio.run(everything())] == ["max_tokens"] * 3  # in another event loop, too


def test_seeds_come_from_the_run_the_prompt_and_how_often_it_was_asked(monkeypatch):
    monkeypatch.setattr(provider, "QUIET_SECONDS", 0.25)

    def answers(*seeds):
        spied = Spied(monkeypatch)

        async def everything():
            return [output.completion for output in await asyncio.gather(*(spied.ask(seed=seed, max_tokens=12) for seed in seeds))]

        return asyncio.run(everything())

    one, two, other, unset = answers(1, 1, 2, None)
    assert len({one, two, other, unset}) == 4
    assert answers(1, 1, 2, None) == [one, two, other, unset]
    assert answers(2, 1)[::-1] == [one, other]


def test_callers_with_other_settings_may_share_a_wave(spied):
    async def everything():
        return await asyncio.gather(spied.ask(max_tokens=3), spied.ask(max_tokens=9, temperature=0.0), spied.ask(max_tokens=3))

    outputs = asyncio.run(everything())
    assert [output.usage.output_tokens for output in outputs] == [3, 9, 3]
    assert sorted(len(requests) for requests, _, _ in spied.calls) == [1, 2]


@pytest.mark.parametrize(("settings", "expected"), [
    ({}, Decoding()),
    ({"temperature": 0.0, "max_tokens": 7}, Decoding(temperature=0.0, max_new_tokens=7)),
    ({"temperature": 1.3, "top_p": 0.5, "top_k": 9}, Decoding(1.3, 0.5, top_k=9)),
    ({"top_p": 1.0, "stop_seqs": ["\n\n", ""], "logprobs": True}, Decoding(top_p=1.0, stop=("\n\n",), logprobs=True)),
    ({"logprobs": False, "seed": 4}, Decoding()),
])
def test_what_inspects_settings_mean(settings, expected):
    assert provider.decoding_of(GenerateConfig(**settings)) == expected


def test_inspects_settings_reach_the_sampler(spied):
    asyncio.run(spied.ask(temperature=0.3, top_p=0.7, top_k=5, max_tokens=4, stop_seqs=["zq"], logprobs=True, system="Be kind."))
    [([request], decoding, _)] = spied.calls
    assert decoding == Decoding(0.3, 0.7, 4, 5, ("zq",), True)
    messages = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Who are you?"}]
    assert list(request.prompt) == chat.prompt_tokens(spied.model.api.tokenizer, messages)


def readable(spied):
    """A toy that says letters, digits and spaces only, so that its text can be cut at strings of it."""
    tokenizer = spied.model.api.tokenizer
    hidden = torch.tensor([not (len(text := tokenizer.decode([token])) == 1 and text.isascii() and (text.isalnum() or text == " "))
                           for token in range(len(tokenizer))])
    spied.model.api.model.lm_head.register_forward_hook(lambda module, given, out: out.masked_fill(hidden, -30.0))
    return tokenizer


def test_stop_strings_cut_the_text_where_they_begin(spied):
    tokenizer = readable(spied)
    whole = asyncio.run(spied.ask(temperature=0.0, max_tokens=40))
    assert (len(whole.completion), whole.stop_reason) == (40, "max_tokens")
    stop = whole.completion[10:13]
    cut = asyncio.run(spied.ask(temperature=0.0, max_tokens=40, stop_seqs=["no such string", stop]))
    assert cut.completion == whole.completion[: whole.completion.index(stop)]
    assert cut.stop_reason == "stop"
    _, _, [completion] = spied.calls[-1]
    assert tokenizer.decode(completion.tokens) == whole.completion[: whole.completion.index(stop) + 3]


@torch.inference_mode()
def test_logprobs_are_one_a_token_and_those_of_a_forward_pass(spied):
    tokenizer, model = readable(spied), spied.model.api.model

    async def everything():
        return await asyncio.gather(*(spied.ask(text, logprobs=True, temperature=1.1, max_tokens=15) for text in ("one", "and two")))

    for output in asyncio.run(everything()):
        [request] = [r for requests, _, _ in spied.calls for r in requests if len(r.prompt) == output.usage.input_tokens]
        content = output.choices[0].logprobs.content
        assert "".join(one.token for one in content) == output.completion
        assert len(content) == output.usage.output_tokens == 15
        tokens = tokenizer(output.completion).input_ids
        logp = model(input_ids=torch.tensor([[*request.prompt, *tokens]])).logits[0, len(request.prompt) - 1: -1].log_softmax(-1)
        plain = logp.gather(-1, torch.tensor(tokens)[:, None])[:, 0].tolist()
        assert [one.logprob for one in content] == pytest.approx(plain, abs=1e-4)


def test_without_logprobs_there_are_none(spied):
    assert asyncio.run(spied.ask()).choices[0].logprobs is None


def test_a_known_wave_is_sampled_as_soon_as_it_is_full(monkeypatch):
    """As a study asks: no pause is waited for."""
    monkeypatch.setattr(provider, "QUIET_SECONDS", 1e9)
    spied = Spied(monkeypatch)
    spied.model.api.wave = 3

    async def everything():
        for part in range(2):
            await asyncio.wait_for(asyncio.gather(*(spied.ask(f"{part} {n}") for n in range(3))), 30)

    asyncio.run(everything())
    assert [len(requests) for requests, _, _ in spied.calls] == [3, 3]


def test_a_task_that_sets_no_allowance_is_not_cut_short(monkeypatch):
    spied = Spied(monkeypatch)
    asyncio.run(spied.model.generate("Name a river.", config=GenerateConfig(stop_seqs=["a", "e", " "])))
    [(_, decoding, _)] = spied.calls
    assert decoding.max_new_tokens == 2048


def test_a_prompt_longer_than_the_model_reads_gets_no_answer_and_the_others_of_its_wave_do(spied):
    spied.model.api.window = 60

    async def everything():
        return await asyncio.gather(*(spied.ask(text, temperature=0.0, max_tokens=400) for text in ("one", "a letter more " * 60)))

    short, long = asyncio.run(everything())
    assert (long.completion, long.stop_reason) == ("", "model_length")
    assert "this model" not in long.error
    assert "reads 60" in long.error
    assert not short.error
    [([request], _, _)] = spied.calls
    assert len(request.prompt) == short.usage.input_tokens
    assert long.usage.input_tokens > 60 > short.usage.input_tokens

    told = {}
    llm.ask_all(spied.model, [[{"role": "user", "content": "a letter more " * 60}]], {}, lambda i, *rest: told.update({i: rest}))
    assert told == {0: (None, long.error)}


def test_epochs_have_seeds_of_their_own_in_whatever_order_they_come(spied, monkeypatch):
    """So that `inspect eval-retry`, in another process, samples a lost answer and no copy of another."""
    def asked(order):
        seeds = {}
        for epoch in order:
            monkeypatch.setattr(provider, "sample_state", lambda epoch=epoch: SimpleNamespace(epoch=epoch))
            asyncio.run(spied.ask())
            seeds.setdefault(epoch, []).append(spied.calls[-1][0][0].seed)
        return seeds

    first = asked([1, 2, 3, 1, 2])
    assert len({seed for seeds in first.values() for seed in seeds}) == 5
    spied.model.api._asked.clear()
    assert asked([3, 2]) == {epoch: first[epoch][:1] for epoch in (3, 2)}


@pytest.mark.parametrize(("settings", "says"), [
    ({"num_choices": 3}, "num_choices"), ({"frequency_penalty": 0.5}, "frequency_penalty"), ({"logit_bias": {3: 1.0}}, "logit_bias"),
    ({"logprobs": True, "top_logprobs": 4}, "top_logprobs")])
def test_what_is_not_done_is_refused(spied, settings, says):
    with pytest.raises(UserError, match=f"does not do `{says}`"):
        asyncio.run(spied.ask(**settings))


def test_a_picture_is_not_passed_over(spied):
    shown = ChatMessageUser(content=[ContentText(text="What is this?"), ContentImage(image="data:image/png;base64,AAAA")])
    with pytest.raises(UserError, match="holds image, and teachwhy's own engine reads text"):
        asyncio.run(spied.model.generate([shown]))


def test_an_answer_ends_where_the_window_is_full(spied):
    spied.model.api.model.config.max_position_embeddings = spied.model.api.window = 80
    readable(spied)
    output = asyncio.run(spied.ask(temperature=0.0, max_tokens=400))
    assert (output.usage.total_tokens, output.stop_reason) == (80, "model_length")


def test_a_lost_answer_names_the_provider_s_own_error(monkeypatch):
    async def lost(*args, **settings):
        error = type("RetryError", (Exception,), {})("RetryError[<Future at 0x7f>]")
        raise error from ConnectionError("the server went away\nand more")

    model = llm.open_model("mockllm/model")
    monkeypatch.setattr(model, "generate", lost)
    told = []
    llm.ask_all(model, [[{"role": "user", "content": "Hello?"}]], {}, lambda *answer: told.append(answer))
    assert told == [(0, None, "ConnectionError: the server went away")]


def test_what_a_provider_lacks_is_said_to_its_end(monkeypatch):
    """inspect's message has markup in it, and names the key or the package in its last line."""
    monkeypatch.delenv("LOCAL_API_KEY", raising=False)
    monkeypatch.delenv("LOCAL_BASE_URL", raising=False)
    with pytest.raises(UserError, match="LOCAL_") as caught:
        llm.open_model("openai-api/local/x")
    assert "[bold]" not in str(caught.value)
