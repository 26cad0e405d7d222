"""The mark of moving pictures: the image mark's pattern, held still for seconds, heard over many frames."""
