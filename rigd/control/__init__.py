"""The shell round the machine: carries effects out on drivers and feeds the results back."""
