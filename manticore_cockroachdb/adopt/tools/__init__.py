"""One module for each other tool. Each offers `TOOL`; `adopt.table` lists them."""
