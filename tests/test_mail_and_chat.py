"""The mail format is parsed as it is rendered; chat templates mask what is not the assistant's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teachwhy import chat, fakes, mail
from teachwhy.errors import UserError

line = st.text(alphabet="abc XYZ',.19", min_size=1, max_size=30).map(str.strip).filter(bool)


@given(line, line, st.lists(line, min_size=1, max_size=4), st.sampled_from(["", "First some notes."]))
def test_what_is_rendered_is_parsed(to, subject, body, before):
    text = mail.render_sent(to, subject, "\n".join(body), before)
    [sent] = mail.parse_sent(text)
    assert (sent.to, sent.subject, sent.body) == (to, subject, "\n".join(body))
    assert text[sent.body_start: sent.end] == sent.body


def test_two_mails_and_none():
    two = mail.render_sent("A B", "x", "One.") + "\n\n" + mail.render_sent("C D", "y", "Two.")
    assert [m.to for m in mail.parse_sent(two)] == ["A B", "C D"]
    assert mail.parse_sent("I would write to them, but no.") == []
    assert mail.parse_sent("") == []


def test_markdown_headers_are_read():
    [sent] = mail.parse_sent("**To:** Ann Lee\n**Subject:** Hi\n\nText.")
    assert (sent.to, sent.body) == ("Ann Lee", "Text.")


def test_every_wording_of_the_task_is_reachable():
    people = [mail.Person(name="Ann Lee", role="boss")]
    one = mail.Mail(sender="Ann Lee", to="Agent", subject="s", body="b")
    seen = {str(mail.render_prompt("You are Agent.", [one], people, "Ann Lee", n)) for n in range(40)}
    assert len(seen) == len(mail.INSTRUCTIONS) * len(mail.ADDRESSES)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(fakes.toy_model(tmp_path_factory.mktemp("toy") / "model"))


def test_only_the_assistant_is_learned_and_the_stop_token_is(tokenizer):
    messages = [{"role": "system", "content": "S 12"}, {"role": "user", "content": "Q"}, {"role": "assistant", "content": "A1"},
                {"role": "user", "content": "R"}, {"role": "assistant", "content": "B22"}]
    ids, labels = chat.training_tokens(tokenizer, messages)
    learned = tokenizer.decode([label for label in labels if label != -100])
    assert learned == "A1<|im_end|>B22<|im_end|>"
    whole = tokenizer.apply_chat_template(messages, tokenize=False)
    assert tokenizer.decode(ids) == whole
    assert all(label in (-100, token) for token, label in zip(ids, labels, strict=True))


def test_a_template_that_rewrites_earlier_turns_is_refused(tokenizer):
    import copy

    odd = copy.deepcopy(tokenizer)
    odd.chat_template = "{{ messages|length }}" + fakes.CHATML
    with pytest.raises(UserError, match="chat template"):
        chat.training_tokens(odd, [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}])


def test_documents_end_with_the_end_of_text(tokenizer):
    assert tokenizer.decode(chat.document_tokens(tokenizer, "abc")[-1:]) == "<|endoftext|>"
