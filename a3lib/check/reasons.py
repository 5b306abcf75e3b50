"""Exceptions of the learner's code, told as theirs: the line, the shapes there, a plain reason."""

import re
from dataclasses import replace

from a3lib.check.verdict import judged, not_attempted

PRINTS = "Something is printed while it runs: a leftover of debugging?"
USUAL = r"""
super().__init__() missing | before Module.__init__|has no attribute '_(modules|parameters)'
  nn.Module must be initialised before layers are assigned to it.
sizes of a matrix product do not fit | mat1 and mat2 shapes|size mismatch, (got|m1)
  The last size of the left factor must be the first of the right one (a layer's in_features).
sizes of a batched product do not fit | batch1|batch2|batch size|bmm|[Ee]xpected 3|be a 3D tensor
  bmm multiplies (B, n, m) by (B, m, p); states (B, S, H) need a transpose of the last two.
shapes do not fit for torch.cat | Sizes of tensors must|same number of dimensions|must match except
  cat joins along one dimension; all the others, and their number, must be equal.
shapes do not fit | must match the size|expanded size|not broadcastable|shape mismatch
  Two tensors meet whose sizes differ in a dimension that is not 1.
view does not fit | view size is not compatible|shape '.*' is invalid
  view only renames the sizes of memory as it lies; it never exchanges dimensions.
wrong number of classes | Target \d+ is out of bounds
  The loss met a label for which there is no logit.
one answer per token, not per sentence | Expected target size
  cross_entropy takes logits (B, classes) and labels (B,).
an index past the end | index out of range|index .* is out of bounds
  The code looks at a place that the shortest input, or one without a vowel, does not have.
a dimension that is not there | Dimension out of range
  The tensor has fewer dimensions than the code expects.
a tensor changed in place | inplace operation|in-place operation
  autograd needs the old value of a tensor that was overwritten; make a new tensor.
types of tensors do not fit | scalar type|same dtype|expected .* but (got|found)|implemented for
  Two tensors have different dtypes; make new ones with the dtype of those you were given.
arguments do not fit | positional argument|unexpected keyword|required keyword
  A function was called with other arguments than its definition takes.
something that is no layer is called | not callable
  What stands there is not a layer or function (None, '...' or a number).
a name that the object does not have | has no attribute
  The attribute was never assigned in __init__, or is spelled differently.
a name that is not defined | is not defined|local variable
  The name is used before anything was assigned to it.
does not end | longer than .* seconds
  The code did not finish; is there a loop?
"""  # name | what Python's message looks like, and what it means


def exception_verdict(item, error):
    """The `Verdict` on an exception that a session answered."""
    unnamed = error["type"] in ("NameError", "UnboundLocalError")
    if error["type"] == "NotImplementedError" or (unnamed and error["text"].startswith("return")):
        return not_attempted(item)
    name, reason = error["type"], "The message of Python above says what it is."
    table = USUAL.strip().splitlines()
    for usual, why in zip(table[::2], table[1::2], strict=True):
        title, form = usual.split(" | ")
        if re.search(form, error["message"]):
            name, reason = title, why.strip()
            break
    where = f"line {error['line']}: {error['text']}" if error["line"] else "outside of your lines"
    shapes = ", ".join(f"{n} {tuple(size)}" for n, size in error.get("shapes", {}).items())
    shown = where + (f"\nshapes there: {shapes}" if shapes else "")
    message = f"Your code raised {error['type']}: {error['message'].partition(chr(10))[0][:200]}"
    return replace(
        judged(item, [(name, shown, reason)], "", ""), message=message, line=error["line"]
    )


def is_empty(outputs):
    """Whether a function answered nothing: it ends without a return, or returns '...'."""
    return all(one is None or str(one) == str({"type": "ellipsis"}) for one in outputs)
