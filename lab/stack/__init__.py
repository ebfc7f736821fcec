"""Whether the running stack is whole: every server answers, and every signal arrives where it is looked for."""
