"""Published figures of the assignment, to stand beside ours; measured on other data and splits.

The values of the write-up are one student's answers; the ranges are of several published solutions.
"""

# run -> lowest validation loss (mean over bucket batches): of the write-up; elsewhere from, to
LOWEST_LOSS = {
    "gru-small": (1.2310, 1.23, 1.39),
    "gru-large": (1.1641, 1.15, 1.46),
    "additive-small": (0.3938, 0.32, 0.44),
    "block-small": (1.1820, 1.08, 1.26),
    "transformer32-small": (0.9571, 0.72, 0.97),
    "transformer32-large": (0.7290, 0.58, 1.44),
    "transformer64-small": (0.4441, 0.34, 0.57),
    "transformer64-large": (0.3380, 0.23, 0.65),
}
TEST_SENTENCE = "the air conditioning is working"  # printed after every epoch by the hand-out
# sentences that the write-up gives as failures, with its model's translations
FAILURES = {
    "implement scaled dot-product attention": (
        "impererlay-etetay alesestay othtay-eatormay atetingway"
    ),
    "there are significant differences": "eertway areway igingsay-ondentway isefteredtay-oodway",
}
