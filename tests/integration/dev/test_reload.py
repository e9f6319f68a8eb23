"""`--reload` notices a change of code on a real file system, and nothing else."""

import asyncio
import contextlib
from pathlib import Path

from kelery_dev.stack.reload import watch_code, watched_folders


def test_a_changed_module_is_noticed_and_a_data_file_is_not(tmp_path: Path) -> None:
    (tmp_path / "proj").mkdir()
    (tmp_path / "proj" / "__init__.py").touch()

    async def scene() -> list[str]:
        async with contextlib.aclosing(watch_code(watched_folders("proj", cwd=tmp_path))) as changes:
            first = asyncio.create_task(anext(changes))
            # The watch begins some time after this; write until it sees a change.
            for number in range(200):
                (tmp_path / "proj" / "data.txt").write_text(str(number))
                (tmp_path / "proj" / "tasks.py").write_text(f"x = {number}")
                done, _ = await asyncio.wait({first}, timeout=0.1)
                if done:
                    break
            return [(await asyncio.wait_for(first, timeout=5)).name]

    assert asyncio.run(scene()) == ["tasks.py"]
