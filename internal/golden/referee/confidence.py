"""The golden numbers of tlkit/confidence: scikit-learn's LedoitWolf, and temperatures by PyTorch's LBFGS."""
import numpy as np, torch
from sklearn.covariance import LedoitWolf
x=np.array([[((i*7+j*5)%11-5)*.3+(.9*((i*3)%7-3) if j<2 else 0) for j in range(4)] for i in range(9)])
lw=LedoitWolf(assume_centered=True).fit(x); print(repr(lw.covariance_), lw.shrinkage_)

z=np.array([[((i*5+j*3)%7-3)*1.7 for j in range(3)] for i in range(20)]); y=np.array([(i*5)%7%3 if i%4==1 else (z[i].argmax()) for i in range(20)])
Z=torch.tensor(z,dtype=torch.float64); Y=torch.tensor(y); t=torch.zeros(1,dtype=torch.float64,requires_grad=True)
o=torch.optim.LBFGS([t],lr=.5,max_iter=500,tolerance_grad=1e-12,tolerance_change=1e-15,line_search_fn='strong_wolfe')
def c():
    o.zero_grad(); l=torch.nn.functional.cross_entropy(Z/t.exp(),Y); l.backward(); return l
o.step(c); print('T',t.exp().item(),c().item(),'before',torch.nn.functional.cross_entropy(Z,Y).item()); print(y)
M=(np.arange(60).reshape(20,3)*7%5<2).astype(float); B=torch.tensor(M); t=torch.zeros(1,dtype=torch.float64,requires_grad=True)
o=torch.optim.LBFGS([t],lr=.5,max_iter=500,tolerance_grad=1e-12,tolerance_change=1e-15,line_search_fn='strong_wolfe')
W=torch.tensor(abs(z)*(2*M-1)*np.where(np.arange(60).reshape(20,3)%7==0,-1,1))
def c2():
    o.zero_grad(); l=torch.nn.functional.binary_cross_entropy_with_logits(W/t.exp(),B); l.backward(); return l
o.step(c2); print('T labels',t.exp().item(),c2().item())
