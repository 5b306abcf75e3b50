"""The check of a caption that shall retrieve a picture."""

from a3lib.check.verdict import judged, not_attempted

LONGEST = 60  # words; CLIP reads 77 tokens and drops the rest


def check_caption(caption, rank):
    """`Verdict` on a caption; rank(text) is the place of the target among the pictures, 1 best.

    The caption is also tried without each of its words, to tell which one it needs.
    """
    if caption in (None, ...):
        return not_attempted("caption")
    if not isinstance(caption, str):
        return _wrong("the caption is no text", f"it is {caption!r}", "A caption is a string.")
    words = caption.split()
    if not words:
        return _wrong("the caption is empty", repr(caption), "What is to be seen in the picture?")
    if len(words) > LONGEST:
        hint = "What is left if you keep only what other pictures lack?"
        return _wrong("too long: CLIP reads 77 tokens", f"{len(words)} words", hint)
    if caption.lower().endswith((".jpg", ".jpeg", ".png")):
        return _wrong("a file name, not a caption", caption, "CLIP was trained with sentences.")
    place = rank(caption)
    others = [rank(" ".join(words[:n] + words[n + 1 :])) for n in range(len(words))]
    if place > 1:
        better = [word for word, other in zip(words, others, strict=True) if other < place]
        shown = f"{caption!r} puts the target at place {place}"
        shown += f"; without {better[0]!r} it is better" if better else ""
        hint = "Which words would also fit the pictures before it? Which would fit only this one?"
        return _wrong("another picture fits better", shown, hint)
    needed = [word for word, other in zip(words, others, strict=True) if other > 1]
    remark = f"Needed: {', '.join(needed)}." if needed else "No single word is needed."
    told = f"{caption!r} finds the target."
    return judged("caption", [], "", told, ["the target is first"], [remark])


def _wrong(name, shown, hint):
    return judged("caption", [(name, shown, hint)], "It does not find the target", "")
