"""Published figures of the assignment, to stand beside our own; measured on other data and other splits.

The values of "write-up" are one student's published answers; the ranges are those over several published solutions.
"""

# run -> lowest validation loss (unweighted mean over bucket batches) in the write-up, lowest and highest elsewhere
LOWEST_LOSS = {
    "gru-small": (1.2310, 1.23, 1.39),
    "gru-large": (1.1641, 1.15, 1.46),
}
TEST_SENTENCE = "the air conditioning is working"  # printed after every epoch by the hand-out
# sentences that the write-up gives as failures, with its model's translations
FAILURES = {
    "implement scaled dot-product attention": "impererlay-etetay alesestay othtay-eatormay atetingway",
    "there are significant differences": "eertway areway igingsay-ondentway isefteredtay-oodway",
}
