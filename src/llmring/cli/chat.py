"""`llmring chat`: one question, one answer, streamed as it comes; or, on a terminal, a conversation."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from llmring.cli.options import complete_model, json_option, lock_options
from llmring.cli.output import warn, write_json

if TYPE_CHECKING:
    from llmring.cli.conversation import Conversation
    from llmring.cli.templates import PromptTemplate
    from llmring.schemas.messages import Message
    from llmring.schemas.parts import Part


@dataclass(frozen=True, slots=True)
class ChatOptions:
    """How answers are asked for and shown, the same for every turn. save: whether the conversation is kept afterwards."""

    profile: str | None
    lockfile: str | None
    stream: bool
    as_json: bool
    verbose: bool
    save: bool


@click.command("chat", short_help="Ask a model and print its answer, or talk with it on a terminal.")
@click.argument("model", required=False, shell_complete=complete_model)
@click.argument("message", required=False)
@lock_options
@click.option("--system", help="System prompt.")
@click.option("-a", "--attach", "attached", type=click.Path(), multiple=True, help="An image, PDF or text file; a URL; - for stdin. Repeatable.")  # fmt: skip
@click.option("-t", "--template", "template_name", help="A prompt template: a name, or a file with its path.")
@click.option("--var", "variables", multiple=True, metavar="NAME=TEXT", help="A variable of the template. Repeatable.")
@click.option("-c", "--continue", "goes_on", is_flag=True, help="Go on with the last conversation that was kept.")
@click.option("--save/--no-save", default=None, help="Keep the conversation for --continue. Default: from the loop alone.")  # fmt: skip
@click.option("--temperature", type=float, help="Sent only if given.")
@click.option("--max-tokens", type=int, help="Cap on the answer. Sent only if given.")
@click.option("--no-stream", is_flag=True, help="Wait for the whole answer.")
@json_option("Print the whole response as one JSON object.")
@click.option("-v", "--verbose", is_flag=True, help="Say on stderr which model answered, tokens, time and cost.")
def command(
    model: str | None,
    message: str | None,
    profile: str | None,
    lockfile: str | None,
    system: str | None,
    attached: tuple[str, ...],
    template_name: str | None,
    variables: tuple[str, ...],
    goes_on: bool,
    save: bool | None,
    temperature: float | None,
    max_tokens: int | None,
    no_stream: bool,
    as_json: bool,
    verbose: bool,
) -> None:
    """Ask MODEL (an alias such as `fast`, or provider:model) the MESSAGE and print its answer.

    MODEL defaults to `fast`. MESSAGE `-` is read from stdin; what is piped in beside a MESSAGE is put below it. With
    --continue, MODEL is the conversation's, and a single argument is the MESSAGE.

    Without a MESSAGE, on a terminal, this is a conversation: /help there says how. Ctrl-C stops an answer, Ctrl-D ends it.
    """
    from llmring.cli.conversation import Conversation, load, user_message

    if goes_on and message is None:
        model, message = None, model
    template = _read_template(template_name, variables)
    conversation = load() if goes_on else Conversation("fast")
    # "" is an error of its own: a script's variable that is not set must not mean another model.
    conversation.model = conversation.model if model is None else model
    conversation.temperature, conversation.max_tokens = temperature, max_tokens
    if template is not None and template.system is not None:
        conversation.system = template.system
    if system is not None:
        conversation.system = system

    text = _read_message(message, attached, template)
    parts = _read_attachments(attached)
    in_loop = text is None
    if in_loop and as_json:
        raise click.UsageError("--json wants a MESSAGE")
    # A script leaves no trace that it did not ask for; who talks at a terminal expects to go on later.
    options = ChatOptions(
        profile,
        lockfile,
        stream=not (no_stream or as_json),
        as_json=as_json,
        verbose=verbose,
        save=(in_loop or goes_on) if save is None else save,
    )
    if text is None:
        from llmring.cli.chat_loop import run_loop

        run_loop(conversation, options, parts, template)
    else:
        message_of_user = user_message(text if template is None else template.message(text), parts)
        asyncio.run(_ask(conversation, message_of_user, options))


async def _ask(conversation: Conversation, message: Message, options: ChatOptions) -> None:
    from llmring.cli.chat_turn import say_about, show_stream, show_whole
    from llmring.cli.conversation import save
    from llmring.service import LLMRing

    request = conversation.request(message)
    async with LLMRing(origin="llmring-cli", lockfile_path=options.lockfile) as ring:
        if options.stream:
            response = await show_stream(ring, request, options.profile, [])
        elif options.as_json:
            response = await ring.chat(request, options.profile)
            write_json(response.to_dict())
        else:
            response = await show_whole(ring, request, options.profile)
        say_about(response, ring, verbose=options.verbose)
    if options.save:
        conversation.add(message, response)
        why_not = save(conversation)
        if why_not is not None:
            warn(f"the conversation is not kept: {why_not}")


def _read_template(name: str | None, variables: tuple[str, ...]) -> PromptTemplate | None:
    values = dict[str, str]()
    for variable in variables:
        key, equals, value = variable.partition("=")
        if not equals or not key:
            raise click.UsageError(f"--var {variable[:80]!r}: write NAME=TEXT")
        values[key] = value
    if name is None:
        if values:
            raise click.UsageError("--var is for a template: give one with --template")
        return None
    from llmring.cli.templates import read_template

    return read_template(name, values)


def _read_attachments(sources: tuple[str, ...]) -> list[Part]:
    if not sources:
        return []
    from llmring.cli.attachments import read_attachments

    return read_attachments(sources)


def _read_message(message: str | None, attached: tuple[str, ...], template: PromptTemplate | None) -> str | None:
    """The text to send; None where there is to be a conversation."""
    from llmring.cli import piped

    is_free = "-" not in attached  # stdin is not an attachment's already
    if message == "-" and not is_free:
        raise click.UsageError("MESSAGE - and -a - both want stdin")
    # Whether there is something to send without any words.
    complete = bool(attached) or (template is not None and template.is_whole)
    if message == "-":
        text = piped.read_text()
    elif message is not None:
        beside = piped.read_text_beside() if is_free else ""
        text = f"{message}\n\n{beside}" if beside.strip() else message
    elif piped.is_terminal():
        if template is None or not template.is_whole:
            return None
        text = ""
    elif complete:
        text = piped.read_text_beside() if is_free else ""
    else:
        text = piped.read_text()
    if not text.strip() and not complete:
        raise click.UsageError("no message: give one, or pipe it in")
    return text
