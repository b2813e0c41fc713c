"""Run shinestacker's pyramid through its documented classes: `OUT.SUFFIX WORK-FOLDER INPUT-FOLDER ALIGN(0|1)`.

Runs in shinestacker's own environment. Its result keeps the format of the frames.
"""

import sys
from pathlib import Path


def main() -> None:
    from shinestacker import AlignFrames, CombinedActions, FocusStack, PyramidStack, StackJob

    out, work, frames, align = Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4] == "1"
    job = StackJob("job", work, input_path=frames)
    if align:
        job.add_action(CombinedActions("aligned", [AlignFrames()]))
    job.add_action(FocusStack("stack", PyramidStack(), output_path="stacked"))
    job.run()
    (made,) = (path for path in Path(work, "stacked").iterdir() if path.is_file())
    made.rename(out)


if __name__ == "__main__":
    main()
