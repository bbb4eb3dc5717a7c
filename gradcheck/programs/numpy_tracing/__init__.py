"""Recording one run of unmodified NumPy code, and the program that it amounts to.

Each module imports only from those above it.

tape            the recorded calls
memory          views, by memory
pure            what stands on the tape without a name in NumPy
origins         whose code a file is
randomness      random states, and putting them back
registry        which functions are covered
interface       what traced values ask of a recorder
traced          their operators and methods
arrays          what passes for arrays and scalars
recording       which memory holds which value, and when to give up
indexing        elements
ufuncs          NumPy's ufuncs on traced values
special         its functions that are made of others
functions       all its other functions
recorder        the recorder of one run
random_source   what passes for a random generator
loops           Python's and NumPy's loops over elements
shims           what stands in for functions that NumPy cannot dispatch
namespaces      private globals and modules
copies          private copies, each made once
copied_data     those of arrays, containers and objects
clones          those of the user's functions and classes
rules           the twins of NumPy's functions in lax
lowering        from the tape to a jaxpr
agreement       whether two runs agree
trace           the trace of a run
validation      whether it is believed
"""
