"""The conversation on a terminal: reads what is typed, shows answers as they come, until Ctrl-D.

Reading blocks this thread, and the event loop rests meanwhile; it runs during an answer alone. So Ctrl-C means what it looks like:
at the prompt it drops what was typed, during an answer it cancels that answer. Answers go to stdout, all else to stderr.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from llmring.cli.attachments import read_attachments
from llmring.cli.chat_turn import say_about, show_stream, show_whole
from llmring.cli.conversation import Conversation, save, user_message
from llmring.cli.failures import CommandError, report
from llmring.cli.output import note, say_as_it_is, warn
from llmring.cli.typed import read_typed
from llmring.exceptions import LLMRingError
from llmring.schemas.messages import Message
from llmring.service import LLMRing

if TYPE_CHECKING:
    from llmring.cli.chat import ChatOptions
    from llmring.cli.templates import PromptTemplate
    from llmring.schemas.parts import Part

HELP = (
    "/attach FILE    an image, PDF, text file or URL, with the next message",
    "/clear          forget what was said; the system prompt stays",
    "/model [NAME]   show or change the model: an alias, or provider:model",
    "/system [TEXT]  change the system prompt; without TEXT there is none",
    "/exit           the end; so is Ctrl-D",
    '\\ at the end of a line goes on in the next. """ begins and ends a message of many lines. // is a message that begins with /.',
    "Ctrl-C stops an answer, and drops a line that is being typed.",
)


def run_loop(
    conversation: Conversation, options: ChatOptions, attachments: list[Part], template: PromptTemplate | None
) -> None:
    """Talks until the user ends it. Raises what makes the first turn impossible: an unknown alias, a broken lockfile."""
    # One event loop and one ring for the whole conversation: connections stay open between turns.
    with asyncio.Runner() as runner:
        ring = runner.run(_open(options))
        try:
            loop = _Loop(ring, runner, conversation, options, attachments, template)
            loop.begin()
            loop.run()
        finally:
            runner.run(ring.close())


async def _open(options: ChatOptions) -> LLMRing:
    return LLMRing(origin="llmring-cli", lockfile_path=options.lockfile)


class _Loop:
    def __init__(
        self,
        ring: LLMRing,
        runner: asyncio.Runner,
        conversation: Conversation,
        options: ChatOptions,
        attachments: list[Part],
        template: PromptTemplate | None,
    ) -> None:
        self._ring = ring
        self._runner = runner
        self._conversation = conversation
        self._options = options
        self._attachments = attachments
        self._template = template
        self._keeps = options.save
        self._ended = False

    def begin(self) -> None:
        """Says with whom one talks. Raises for a request that could never be sent."""
        conversation = self._conversation
        conversation.request(Message.user("-"))
        said = f"{self._describe_model(conversation.model)}; /help for help, Ctrl-D ends"
        if conversation.messages:
            said += f"; going on after {len(conversation.messages)} messages"
        note(said)

    def run(self) -> None:
        while not self._ended:
            try:
                text = read_typed()
                if text is None:
                    return
                self._take(text)
            except KeyboardInterrupt:
                # Wherever it struck between two turns: what was typed is dropped, the conversation stays.
                say_as_it_is("")

    def _take(self, text: str) -> None:
        word, _, rest = text.strip().partition(" ")
        if word.startswith("/") and word[1:].isalpha():
            self._obey(word, rest.strip())
        elif text.strip():
            self._ask(text.replace("//", "/", 1) if word.startswith("//") else text)

    # Turns

    def _ask(self, text: str) -> None:
        message = user_message(text if self._template is None else self._template.message(text), self._attachments)
        self._attachments = []  # also where the turn fails: what a model refuses must not go with every message after it
        heard = list[str]()
        try:
            self._runner.run(self._answer(message, heard))
        except KeyboardInterrupt:
            self._keep_partial(message, "".join(heard))
        except Exception as error:
            # As at the program's edge: what is ours becomes a line, anything else is a bug and keeps its traceback.
            if report(error) is None:
                raise
            note("that message is not part of the conversation; what was said before it stays")
            return
        self._save()

    async def _answer(self, message: Message, heard: list[str]) -> None:
        # While the loop rested, the provider may have closed a connection: it hears of that before it takes one.
        await asyncio.sleep(0)
        request, profile = self._conversation.request(message), self._options.profile
        if self._options.stream:
            response = await show_stream(self._ring, request, profile, heard)
        else:
            response = await show_whole(self._ring, request, profile)
        say_about(response, self._ring, verbose=self._options.verbose)
        self._conversation.add(message, response)

    def _keep_partial(self, message: Message, text: str) -> None:
        if text.strip():
            self._conversation.messages += [message, Message.assistant(text)]
            note("stopped; what was said so far is part of the conversation")
        else:
            note("stopped; nothing was said")

    def _save(self) -> None:
        if not self._keeps or not self._conversation.messages:
            return
        why_not = save(self._conversation)
        if why_not is not None:
            self._keeps = False  # said once
            warn(f"the conversation is not kept: {why_not}")

    # Commands

    def _obey(self, word: str, rest: str) -> None:
        try:
            match word:
                case "/exit" | "/quit":
                    self._ended = True
                case "/help":
                    for line in HELP:
                        say_as_it_is(line)
                case "/clear":
                    self._conversation.messages.clear()
                    self._attachments = []
                    note("forgotten")
                case "/model":
                    said = self._describe_model(rest or self._conversation.model)
                    self._conversation.model = rest or self._conversation.model
                    note(said)
                case "/system":
                    self._conversation.system = rest or None
                    note("the system prompt is changed" if rest else "no system prompt")
                case "/attach":
                    self._attach(rest)
                case _:
                    raise CommandError(f"no command {word[:40]}", hint="/help lists them; // begins a message with /")
        except (LLMRingError, CommandError) as error:
            report(error)

    def _describe_model(self, name: str) -> str:
        model = self._ring.resolve_alias(name, self._options.profile)
        return name if name == model else f"{name} → {model}"

    def _attach(self, source: str) -> None:
        if not source or source == "-":
            raise CommandError("/attach wants a file", hint="/attach picture.png")
        self._attachments = [*self._attachments, *read_attachments([source])]
        note(f"{source} goes with the next message")
