"""Writers: one module for each report format. They depend on the model and never on the code of a rule."""
