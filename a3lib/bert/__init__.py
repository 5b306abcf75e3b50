"""Sentence classification with BERT: data, classifiers, fine-tuning, probes."""
