"""LeRobot itself opens and writes data sets, for tlkit/episodes/lerobot_test.go.

    pip install lerobot==0.4.4        # Python 3.11
    TLKIT_LEROBOT_PYTHON=PY go test ./tlkit/episodes -run LeRobot

    python lerobot.py digest DIR            # a line for each frame of a set, as LeRobot reads it
    python lerobot.py make DIR image|video  # writes a set, and the lines of what went in

A line is a JSON object: episode, frame, task, and the SHA-256 of state, action and picture (float32,
float32, height x width x 3 bytes). For video, the mean of the picture stands there instead.
"""

import hashlib
import json
import shutil
import sys

import av
import numpy as np

sys.path.pop(0)  # this file has the name of the package
from lerobot.datasets.lerobot_dataset import LeRobotDataset  # noqa: E402


def sha(a, dtype):
    return hashlib.sha256(np.ascontiguousarray(a, dtype=dtype).tobytes()).hexdigest()


def line(episode, frame, task, state, action, picture, exact):
    out = {"episode": int(episode), "frame": int(frame), "task": task, "state": sha(state, "<f4"), "action": sha(action, "<f4")}
    if exact:
        out["picture"] = sha(picture, "u1")
    else:
        out["mean"] = float(picture.mean())
    print(json.dumps(out))


def digest(root):
    d = LeRobotDataset("tlkit/referee", root=root)
    key = d.meta.camera_keys[0]
    video = d.meta.features[key]["dtype"] == "video"
    films = {}
    for i in range(len(d)):
        if not video:
            f = d[i]
            picture = np.rint(f[key].numpy().transpose(1, 2, 0) * 255).astype(np.uint8)
        else:  # by PyAV itself: torchvision, which LeRobot asks, has dropped its video reader
            f = d.hf_dataset[i]
            f["task"] = d.meta.tasks.index[int(f["task_index"])]
            e = int(f["episode_index"])
            path = d.root / d.meta.get_video_file_path(e, key)
            if path not in films:
                with av.open(str(path)) as film:
                    films[path] = [p.to_ndarray(format="rgb24") for p in film.decode(video=0)]
            first = d.meta.episodes[e][f"videos/{key}/from_timestamp"]
            picture = films[path][round(first * d.fps) + int(f["frame_index"])]
        line(f["episode_index"], f["frame_index"], f["task"], f["observation.state"].numpy(), f["action"].numpy(), picture, not video)
    assert d.meta.stats["observation.state"]["mean"].shape == (len(f["observation.state"]),)
    assert d.meta.stats[key]["std"].shape == (3, 1, 1)


def make(root, dtype):
    shutil.rmtree(root, ignore_errors=True)
    d = LeRobotDataset.create(
        "tlkit/referee", fps=10, root=root, robot_type="planar-arm", use_videos=dtype == "video",
        features={
            "observation.state": {"dtype": "float32", "shape": (4,), "names": ["x", "y", "gripper", "opening"]},
            "action": {"dtype": "float32", "shape": (3,), "names": ["dx", "dy", "gripper"]},
            "observation.images.top": {"dtype": dtype, "shape": (96, 128, 3), "names": ["height", "width", "channels"]},
        },
    )
    rng = np.random.default_rng(0)
    for e in range(3):
        for t in range(15 + 5 * e):
            picture = np.zeros((96, 128, 3), np.uint8)
            picture[..., 0], picture[..., 1] = np.arange(128)[None] * 2, np.arange(96)[:, None] * 2
            picture[t * 3 : t * 3 + 20, 20:90] = [200, 70 * e, 12 * t % 256]
            state, action = rng.random(4, dtype=np.float32), rng.random(3, dtype=np.float32)
            task = "first" if e < 2 else "second"
            line(e, t, task, state, action, picture, dtype == "image")
            d.add_frame({"observation.state": state, "action": action, "observation.images.top": picture, "task": task})
        d.save_episode()
    d.finalize()


if __name__ == "__main__":
    {"digest": digest, "make": make}[sys.argv[1]](*sys.argv[2:])
