"""What reaches beyond the notebooks: the doctor."""
