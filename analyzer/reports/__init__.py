"""Writers: one module for each form that a report takes. They know the model and never a rule's code."""
