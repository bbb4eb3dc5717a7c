"""Recording one run of unmodified NumPy code, and the program that it amounts to.

recorder    which memory holds which value; when to give up      tape      the recorded calls
traced      what user code sees instead of arrays                memory    views, by memory
calls       NumPy's functions on traced values                   indexing  elements
clones      private copies of the user's functions               shims     what stands in there
registry    which functions are covered                          rules/    their twins in lax
lowering    from the tape to a jaxpr                             validation
"""
