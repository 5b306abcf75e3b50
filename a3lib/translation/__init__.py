"""Translators from English to Pig Latin: data, models, training, decoding."""
