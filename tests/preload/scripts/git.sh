# needs: git
# Commits, branches, a merge, repacking with threads, checks and a clone.
export HOME=$PWD GIT_CONFIG_NOSYSTEM=1
export GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=A GIT_COMMITTER_EMAIL=a@b
git init -q -b main repo
cd repo
git config gc.auto 0
for i in $(seq 1 25); do
  export GIT_AUTHOR_DATE="@$((1700000000 + i)) +0000"
  export GIT_COMMITTER_DATE=$GIT_AUTHOR_DATE
  mkdir -p "d$((i % 5))"
  seq "$i" 3 $((i * 200)) > "d$((i % 5))/f$i"
  echo "$i" >> log
  git add -A
  git commit -q -m "change $i"
done
git checkout -q -b side HEAD~5
seq 1 99 > side
git add side
git commit -q -m side
git checkout -q main
git merge -q -m merge side
git -c pack.threads=2 gc -q --aggressive
git fsck --full --strict 2> /dev/null
git log --oneline --stat | cksum
git rev-parse HEAD
git grep -c 42 | sort | head -n 5
git blame -s d1/f1 | cksum
git diff HEAD~10 | cksum
cd ..
git clone -q repo copy
git -C copy rev-parse HEAD
git -C copy archive HEAD | cksum
