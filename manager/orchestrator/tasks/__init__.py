"""How many tasks there are to be, and which: scaling, repair, job runs, removal. Pure."""
