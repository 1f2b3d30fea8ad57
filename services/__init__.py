"""The services as others see them: what each can be asked to do, what it hears, how it is tried. No code of theirs."""
