"""Programs with values of rows and columns: their passes go over tiles of tensors."""
